"""The commands of the VAE half, one file per command, all of the same shape.

    execute(options) -> record            options as they were typed, by their names in the code; a JSON-able dictionary
    to_text(record, options) -> str       the record for people

`data` has one such pair per subcommand. `vae.cli` declares the options and prints the record as JSON or the text.
"""
