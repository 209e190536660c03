"""What ran, in each framework's own terms; the only place besides the kernels that imports one."""
