# doxygen_filter.awk: what Doxygen reads instead of a header or a page of ours.
#
# In a header, a comment right above a declaration, one behind it, and the one at the top are
# documentation; examples in them, which are indented, are code. In a page, links to files lead
# nowhere in the reference, and are text.

function is_page() { return FILENAME ~ /\.md$/ }

# Nothing in a sentence is a command or a tag of Doxygen's, but for what is between backticks.
function plain(text,    parts, count, i, out) {
  count = split(text, parts, "`")
  for (i = 1; i <= count; ++i) {
    if (i % 2 == 1 || i == count) gsub(/[\\<>@#%&$"~]/, "\\\\&", parts[i])
    out = out (i > 1 ? "`" : "") parts[i]
  }
  return out
}

function end_code(indent) {
  if (in_code) print indent "/// \\endcode"
  in_code = 0
}

# The lines of `block` as documentation.
function document(    i, text, indent) {
  for (i = 1; i <= size; ++i) {
    indent = block[i]
    sub(/\/\/.*/, "", indent)
    text = block[i]
    sub(/^ *\/\//, "", text)
    if (text ~ /^   / && !in_code) {
      print indent "/// \\code{.cpp}"
      in_code = 1
    }
    if (in_code && text !~ /^   / && text !~ /^ *$/) end_code(indent)
    print indent "///" (in_code ? text : plain(text))
  }
  end_code(indent)
  size = 0
}

function keep(    i) {
  for (i = 1; i <= size; ++i) print block[i]
  size = 0
}

is_page() {
  if (/^```/) { print $1; next }
  while (match($0, /\]\([^)]*\)/)) {
    target = substr($0, RSTART + 2, RLENGTH - 3)
    before = substr($0, 1, RSTART - 1)
    after = substr($0, RSTART + RLENGTH)
    if (target ~ /^http/) { printf "%s", before "](" target ")"; $0 = after; continue }
    start = match(before, /\[[^\[]*$/)
    $0 = substr(before, 1, start - 1) substr(before, start + 1) after
  }
  print
  next
}

FNR == 1 && /^\/\// { print "/// \\file"; top = 1 }

/^ *\/\// {
  column = index($0, "//")
  if (column == behind) {
    print substr($0, 1, behind - 1) "///<" plain(substr($0, behind + 2))
    next
  }  # Goes on with what is behind code.
  block[++size] = $0
  next
}

{
  if (size > 0) {
    if (top) document()
    else if (/^ *$/ || /^ *(#|}|namespace|public:|private:|protected:)/ || block[1] ~ /\/\/ ----/) keep()
    else document()
  }
  top = 0
  behind = 0
  if ($0 ~ /[;,] +\/\/ / && $0 !~ /"[^"]*\/\/[^"]*"/) {
    behind = index($0, "//")
    $0 = substr($0, 1, behind - 1) "///<" plain(substr($0, behind + 2))
  }
  print
}
END { keep() }
