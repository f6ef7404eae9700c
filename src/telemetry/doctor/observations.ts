/** What the probes bring back, as values: all that a diagnosis is made from. */
import type { SendOutcome } from "../otlp/send-outcome.ts";

/** `timeout` as code: nothing came in time. */
export interface ProbeFailure {
  readonly kind: "failed";
  /** A system error's or OpenSSL's code, or `timeout`. */
  readonly code: string;
  readonly message: string;
}

export type ResolveObservation = { readonly kind: "resolved"; readonly addresses: readonly string[] } | ProbeFailure;

export type ConnectObservation = { readonly kind: "connected" } | ProbeFailure;

export type TlsObservation =
  | {
      readonly kind: "established";
      /** `TLSv1.3` */
      readonly version: string;
      /** What both agreed to speak; absent when the server does not say. */
      readonly application: string | undefined;
      /** Node.js's code for why the certificate is not good; absent when it is. */
      readonly problem: string | undefined;
      readonly certificate: CertificateObservation;
    }
  | ProbeFailure;

export interface CertificateObservation {
  readonly subject: string;
  readonly issuer: string;
  /** `DNS:collector.example, IP Address:192.0.2.1` */
  readonly names: string;
  readonly validFrom: string;
  readonly validTo: string;
}

/** What a port speaks to those who begin. */
export type PeerLanguage =
  | { readonly kind: "http1"; readonly statusCode: number; readonly contentType: string }
  | { readonly kind: "http2" }
  | { readonly kind: "tls" }
  /** Within TLS 1.3 it says so only after the handshake. */
  | { readonly kind: "client_certificate_refused" }
  /** It ended the connection without a word. */
  | { readonly kind: "closed" }
  /** It said nothing. */
  | { readonly kind: "silent" }
  | { readonly kind: "other" };

/** What a credential looks like, without what it is. */
export type HeaderShape =
  | "absent"
  | "percent_encoded"
  | "quoted"
  | "basic_not_base64"
  /** `authorization` without `Bearer` or `Basic`. */
  | "scheme_missing"
  | "scheme_twice"
  /** `Bearer`, and nothing behind it. */
  | "token_missing"
  | "well_formed";

export interface SendObservation {
  readonly outcome: SendOutcome;
  readonly authorization: HeaderShape;
  /** Of the connection, where it is TLS. */
  readonly application?: string | undefined;
  /** Asked for when the canary failed in a way that leaves it open. */
  readonly language?: PeerLanguage;
  /** After a 404, or when gRPC met HTTP: how other paths answer an empty request. */
  readonly paths?: PathObservation;
  /** Metrics only. */
  readonly delta: boolean;
}

/** Whether something at a path takes requests; `silent`: no answer in time. */
export type PathAnswer = "there" | "missing" | "silent";

/** Only paths that were asked for. */
export interface PathObservation {
  /** `/v1/<signal>`, when it was meant to go by gRPC. */
  readonly own?: PathAnswer | undefined;
  /** `/otlp/v1/<signal>` */
  readonly belowOtlp?: PathAnswer | undefined;
  /** `/api/v1/otlp/v1/metrics`, as Prometheus has it, whatever the signal. */
  readonly belowPrometheus?: PathAnswer | undefined;
  /** `/v1/<other signal>` at the same base. */
  readonly otherSignals: readonly PathAnswer[];
}

/** A server's `Date` beside our own clock. */
export interface ClockObservation {
  /** Ours minus theirs: positive when this node is ahead. */
  readonly skewMs: number;
  /** Half a second for the header's resolution, and half of the way there and back. */
  readonly uncertaintyMs: number;
}
