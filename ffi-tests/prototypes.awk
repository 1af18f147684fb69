# Prints the header's prototypes, one per line: "return|name|type name|type name|…".
# The shape is cbindgen's: a prototype starts at the first column and ends with ");".
/^\/\*/ { comment = 1 }
comment { if (/\*\//) comment = 0; next }
/^(typedef|#|extern|}| |$)/ && !open { next }
{
  line = line " " $0
  open = 1
  if ($0 !~ /;$/) next
  open = 0
  text = line
  line = ""
  gsub(/NSGATE_MUST_USE/, "", text)
  gsub(/struct /, "", text)
  gsub(/[ \t]+/, " ", text)
  if (text !~ /nsgate_[a-z_]+\(/) next
  match(text, /nsgate_[a-z_]+\(/)
  name = substr(text, RSTART, RLENGTH - 1)
  result = substr(text, 1, RSTART - 1)
  gsub(/^ | $/, "", result)
  arguments = substr(text, RSTART + RLENGTH)
  sub(/\);.*/, "", arguments)
  row = result "|" name
  if (arguments != "void") {
    count = split(arguments, argument, / *, */)
    for (i = 1; i <= count; i++) {
      # "const char *data" → "const char *" and "data"
      match(argument[i], /[a-z_0-9]+$/)
      type = substr(argument[i], 1, RSTART - 1)
      gsub(/^ | $/, "", type)
      row = row "|" type "@" substr(argument[i], RSTART)
    }
  }
  print row
}
