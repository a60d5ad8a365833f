"""Changes to files of third-party code, text for text."""

def replace(ctx, source, target, pairs):
    """Writes the file `target`: `source` with some of its text replaced.

    Args:
      ctx: the repository rule's context.
      source: the path of the file to read.
      target: the file to write, in the repository; may be the same.
      pairs: old text to new. Text that is not there is an error: the code is
        then not the one that the change was made for.
    """
    text = ctx.read(source)
    for old, new in pairs.items():
        if old not in text:
            fail("%s of @%s does not contain %s" % (target, ctx.name, old))
        text = text.replace(old, new)
    ctx.file(target, text, executable = False)
