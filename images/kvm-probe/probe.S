# A guest that finds out whether this host's KVM really runs guests.
#
# It walks through what a kernel needs from the processor and writes one letter to the debug console (port 0xe9)
# for every part that worked; then it ends the hypervisor with exit status 85. Anything else is a triple fault or a
# hang, and so no such status.
#
#   R  real mode, from ROM       P  protected mode            L  long mode with paging
#   I  an interrupt of the local APIC's timer woke it
#   U  to ring 3, interrupted there, and back by a system call
#
# An S after L: too slow to be of use.
#
# The reset vector jumps to F000:0000, where this code is. Like any firmware it enters protected mode from there, with
# its descriptors in ROM. Then it copies itself to PROGRAM, the address that it is linked for, since the processor
# writes to descriptor tables.
#
# After a change: node_modules/.bin/node images/kvm-probe/build.ts

.equ ROM,           0xF0000
.equ PROGRAM,       0x8000
.equ PML4,          0x1000
.equ PDPT,          0x2000
.equ PAGES,         0x3000
.equ TASK,          0x4000              # task state segment: the stack for interrupts
.equ IDT,           0x5000
.equ TABLES_BYTES,  0x5000              # all of the above
.equ TASK_STACK,    0x6000
.equ STACK,         0x7000
.equ USER_STACK,    0x8000

.equ APIC,          0xFEE00000
.equ APIC_EOI,      0x0B0
.equ APIC_SPURIOUS, 0x0F0
.equ APIC_TIMER,    0x320
.equ APIC_COUNT,    0x380
.equ APIC_DIVISOR,  0x3E0

# 1.6 ms: the timer of QEMU and KVM counts ns. Each start of it gives one interrupt.
.equ TIMER_COUNT,   100000
.equ TIMER_VECTOR,  0x20
.equ EXIT_VALUE,    (85 - 1) / 2        # isa-debug-exit ends QEMU with 2 × value + 1

.equ ROUNDS,        10
.equ TURNS,         10000
.equ MAXIMUM_CYCLES, 200                # of a turn; the processor itself needs one or two, translated code about ten

.macro say letter
    mov $\letter, %al
    out %al, $0xe9
.endm

.globl program
.text
.code16
program:
    cli
    say 'R'
    lgdtl %cs:rom_gdt_pointer - program
    mov %cr0, %eax
    or $1, %al                          # PE
    mov %eax, %cr0
    ljmpl $code32 - gdt, $ROM + protected - program

.code32
protected:
    mov $data - gdt, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $STACK, %esp
    say 'P'

    mov $ROM, %esi
    mov $PROGRAM, %edi
    mov $program_end - program, %ecx
    cld
    rep movsb
    mov $in_ram, %eax
    jmp *%eax

in_ram:
    lgdtl gdt_pointer
    mov $PML4, %edi
    mov $TABLES_BYTES / 4, %ecx
    xor %eax, %eax
    rep stosl
    # Two pages of 2 MiB, each at its own address: the first of all, for any ring, and the APIC's, uncached. One
    # directory serves both, hung up at 0 and at 3 GiB.
    movl $PDPT + 7, PML4                # present, writable, user
    movl $PAGES + 7, PDPT
    movl $PAGES + 7, PDPT + (APIC >> 30) * 8
    movl $0x87, PAGES                   # … and large
    movl $APIC + 0x9B, PAGES + (APIC >> 21 & 511) * 8
    mov $PML4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax                      # PAE
    mov %eax, %cr4
    mov $0xC0000080, %ecx               # EFER
    rdmsr
    or $0x101, %eax                     # LME, SCE
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax                # PG
    mov %eax, %cr0
    ljmp $code64 - gdt, $long

.code64
long:
    say 'L'
    movl $TASK_STACK, TASK + 4
    mov $task - gdt, %eax
    ltr %ax
    movw $on_tick, IDT + TIMER_VECTOR * 16
    movw $code64 - gdt, IDT + TIMER_VECTOR * 16 + 2
    movw $0x8E00, IDT + TIMER_VECTOR * 16 + 4
    lidt idt_pointer

    # Some nested hosts emulate every single instruction of a guest's kernel: all works, at a thousandth of the
    # speed. The best round counts, since this processor may have to wait for its turn.
    mov $ROUNDS, %ebp
measure:
    rdtsc
    mov %eax, %esi
    mov $TURNS, %ecx
turn:
    dec %ecx
    jnz turn
    rdtsc
    sub %esi, %eax
    cmp $TURNS * MAXIMUM_CYCLES, %eax
    jb fast
    dec %ebp
    jnz measure
    say 'S'
    jmp broken
fast:

    # The old timer ticks by itself, and its interrupts would come where nobody waits for them.
    mov $0xFF, %al
    out %al, $0x21
    out %al, $0xA1
    mov $APIC, %ebx
    movl $0x1FF, APIC_SPURIOUS(%rbx)    # enabled
    movl $3, APIC_DIVISOR(%rbx)         # by 16
    movl $TIMER_VECTOR, APIC_TIMER(%rbx)
    movl $TIMER_COUNT, APIC_COUNT(%rbx)
    xor %ebp, %ebp
    sti
await_tick:
    hlt
    test %ebp, %ebp
    jz await_tick
    cli
    say 'I'

    mov $0xC0000081, %ecx               # STAR: the segment of the system call; its data segment follows
    xor %eax, %eax
    mov $code64 - gdt, %edx
    wrmsr
    inc %ecx                            # LSTAR: its entry
    mov $on_call, %eax
    xor %edx, %edx
    wrmsr
    pushq $user_data - gdt + 3
    pushq $USER_STACK
    pushq $0x202                        # flags: interrupts, no ports
    pushq $user_code - gdt + 3
    pushq $ring_3
    movl $TIMER_COUNT, APIC_COUNT(%rbx)
    iretq

ring_3:
    cmp $2, %ebp
    jne ring_3
    mov %cs, %edi
    syscall
broken:                                 # no exception has a gate: a triple fault
    ud2

on_tick:
    inc %ebp
    movl $0, APIC_EOI(%rbx)
    iretq

on_call:
    and $3, %edi                        # where it says it came from
    cmp $3, %edi
    jne broken
    say 'U'
    mov $EXIT_VALUE, %al
    out %al, $0xf4
stop:
    hlt
    jmp stop

# All segments are marked as accessed, so that loading one writes nothing.
.balign 8
gdt:
    .quad 0
code32:
    .quad 0x00CF9B000000FFFF
code64:
    .quad 0x00AF9B000000FFFF
data:
    .quad 0x00CF93000000FFFF
user_data:
    .quad 0x00CFF3000000FFFF
user_code:
    .quad 0x00AFFB000000FFFF
task:
    .quad 0x0000890000000067 + (TASK << 16), 0
gdt_end:

gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
rom_gdt_pointer:
    .word gdt_end - gdt - 1
    .long ROM + gdt - program
idt_pointer:
    .word (TIMER_VECTOR + 1) * 16 - 1
    .quad IDT
program_end:
