# Turns each call that gcc -fsanitize-coverage=trace-pc writes into `incb counter(%rip)`, one counter per call, as
# clang's inline-8bit-counters,pc-table would. gcc takes it for a call, so every register and flag it touches is dead.
# The bytes are spelled out to serve -masm=intel too; `?` puts the tables into the section group of the function.
1i\
	.set firedamp_entry, 0\
	.macro firedamp_edge\
	.pushsection __sancov_cntrs, "aw?", @progbits\
901:	.byte 0\
	.popsection\
902:	.byte 0xfe, 0x05\
	.long 901b - . - 4\
	.pushsection __sancov_pcs, "aw?", @progbits\
	.balign 8\
	.quad 902b, firedamp_entry\
	.popsection\
	.set firedamp_entry, 0\
	.endm
s/^\tcall\t__sanitizer_cov_trace_pc\(@PLT\)\{0,1\}$/\tfiredamp_edge/
/^\t\.cfi_startproc/a\
	.set firedamp_entry, 1
