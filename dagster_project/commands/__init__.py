"""The commands of `sextant`: one module each, which bears the command's name and holds a function of that name."""
