# Makes calls.h of the prototypes: every function that answers a status, callable with any arguments.
BEGIN {
  FS = "|"
  print "/* Made from include/nsgate.h by ffi-tests/calls.awk. */"
  optional = " options report event ticket run destroy user_data changed running lifecycles access modification call_context error "
  # Optional here, though not everywhere.
  optional_here = " nsgate_map_find.out nsgate_map_find_by_address.out nsgate_map_find_by_lifecycle.out nsgate_map_snapshot.buffer "
  handles = " nsgate_gate nsgate_job nsgate_namespace nsgate_entered nsgate_chroot nsgate_directory nsgate_map nsgate_sandbox "
}
$1 != "nsgate_status" { next }
{
  functions++
  list = ""
  table = ""
  for (i = 3; i <= NF; i++) {
    split($i, part, "@")
    type = part[1]
    may_be_null = index(optional, " " part[2] " ") || index(optional_here, " " $2 "." part[2] " ")
    base = type
    gsub(/const |\*| /, "", base)
    place = i - 3
    size = "0"
    if (type ~ /_function$/) {
      kind = may_be_null ? "OPTIONAL" : "REQUIRED"
      value = "as_" base
    } else if (type ~ /\*/) {
      kind = may_be_null ? "OPTIONAL" : "REQUIRED"
      value = "as_pointer"
      if (base !~ /^(void|char|int|size_t|uint32_t|uint64_t)$/) size = "sizeof(" base ")"
    } else if (index(handles, " " type " ")) {
      kind = "HANDLE"
      value = "as_" type
    } else if (type == "nsgate_string") {
      kind = "STRING"
      value = "as_nsgate_string"
    } else {
      kind = "SCALAR"
      value = "as_" type
    }
    if (type ~ /^const /) kind = kind "_INPUT"
    if (part[2] == "error") continue
    list = list (list == "" ? "" : ", ") "a[" place "]." value
    table = table sprintf("{%s, \"%s\", \"%s\", %s}, ", kind, base, part[2], size)
  }
  arguments = list == "" ? "error" : list ", error"
  printf "static nsgate_status call_%d(union argument *a, nsgate_error *error) {\n", functions
  printf "  return %s(%s);\n}\n", $2, arguments
  rows = rows sprintf("    {\"%s\", call_%d, %d, {%s}},\n", $2, functions, NF - 3, table)
}
END {
  printf "static const struct function functions[] = {\n%s};\n", rows
  printf "enum { FUNCTIONS = %d };\n", functions
}
