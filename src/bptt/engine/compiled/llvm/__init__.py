"""What speaks to LLVM: an instruction, a function of one argument array, machine code and where it is kept."""
