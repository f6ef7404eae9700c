/** Completion scripts. They know nothing of commands: `blixard __complete` does, so they never grow old. */

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# Completion of blixard for bash: eval "$(blixard completion bash)"
_blixard() {
  local candidates current
  current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  # "--option=value" arrives as three words, of which the last is completed.
  local line="\${COMP_LINE:0:COMP_POINT}" words=()
  read -r -a words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  candidates="$("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)" || return 0
  case "$candidates" in
    :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return 0 ;;
    :directories) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return 0 ;;
  esac
  [[ -z "$candidates" ]] && return 0
  mapfile -t COMPREPLY <<<"$candidates"
  if [[ "\${words[-1]}" == --*=* && "$COMP_WORDBREAKS" == *=* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#*=}")
  fi
}
complete -F _blixard blixard
`,
  zsh: `#compdef blixard
# Completion of blixard for zsh: eval "$(blixard completion zsh)"
_blixard() {
  local -a candidates
  candidates=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case "\${candidates[1]}" in
    :files) _files ;;
    :directories) _files -/ ;;
    "") return 1 ;;
    *) compadd -- "\${candidates[@]}" ;;
  esac
}
if [ "\${funcstack[1]}" = "_blixard" ]; then
  _blixard "$@"
else
  compdef _blixard blixard
fi
`,
  fish: `# Completion of blixard for fish: blixard completion fish | source
function __blixard_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l candidates ($words[1] __complete $words[2..-1] 2>/dev/null)
  switch "$candidates[1]"
    case ":files"
      __fish_complete_path (commandline -ct)
    case ":directories"
      __fish_complete_directories (commandline -ct)
    case "*"
      printf '%s\\n' $candidates
  end
end
complete -c blixard -f -a '(__blixard_complete)'
`,
};
