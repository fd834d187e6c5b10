"""What a static library is made of."""

def _archives_impl(ctx):
    archives = []
    for linker_input in ctx.attr.dep[CcInfo].linking_context.linker_inputs.to_list():
        for library in linker_input.libraries:
            archive = library.pic_static_library or library.static_library
            if archive:
                archives.append(archive)
    return [DefaultInfo(files = depset(archives))]

# The archives of a cc_library and of all that it depends on, of code that may lie anywhere.
torc_archives = rule(
    implementation = _archives_impl,
    attrs = {"dep": attr.label(providers = [CcInfo])},
)
