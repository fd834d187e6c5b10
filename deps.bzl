"""External repositories, all of them local folders (build/README.md says why)."""

def torc_deps():
    native.local_repository(name = "rules_cc", path = "build/rules_cc")
    native.local_repository(name = "rules_java", path = "build/rules_java")
    native.local_repository(name = "remote_coverage_tools", path = "build/remote_coverage_tools")
