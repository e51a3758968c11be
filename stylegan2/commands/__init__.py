"""The commands on a StyleGAN2 generator, one file each.

A file has `Options`, `run(options)`, `to_text(record, options)` and their declaration, `COMMAND`.

No torch is imported until a command runs, so that `--help` answers at once.
"""
