# Makes a C program of the header that prints the size of every struct and the offset of every field.
BEGIN { print "#include <stddef.h>\n#include <stdio.h>\n#include \"nsgate.h\"\nint main(void) {" }
/^typedef struct nsgate_[a-z_]+ \{$/ {
  name = $3
  printf "  printf(\"%%s %%zu\\n\", \"%s\", sizeof(%s));\n", name, name
  next
}
name && /^}/ { name = ""; next }
name && /^ *\/\*\*/ { if (!/\*\//) comment = 1; next }
name && comment { if (/\*\//) comment = 0; next }
name && /;$/ {
  field = $0
  sub(/(\[[0-9]+\])?;$/, "", field)
  sub(/.*[ *]/, "", field)
  printf "  printf(\"%%s.%%s %%zu\\n\", \"%s\", \"%s\", offsetof(%s, %s));\n", name, field, name, field
}
END { print "  return 0;\n}" }
