#!/usr/bin/env bash
# count_lines.sh PAGE: the table "Lines" of a page that shows the same program in several frameworks:
# the lines of its code blocks under each heading, without blank ones and comments. Fails when
# another table is in the page.
set -euo pipefail

page=$1
counted=$(awk '
  !inside && /^## / { part = /counter/ ? 1 : /transfer/ ? 2 : 0 }
  !inside && /^### / { who = substr($0, 5); if (!(who in place)) { place[who] = ++last; name[last] = who } }
  /^```/ { inside = !inside; next }
  inside && part && !/^[ ]*$/ && !/^[ ]*(\/\/|#[^a-z]|%)/ { ++lines[who, part] }
  END {
    for (i = 1; i <= last; ++i) {
      for (part = 1; part <= 2; ++part) {
        text[part] = lines[name[i], part] ? lines[name[i], part] : "–"
      }
      print "| " name[i] " | " text[1] " | " text[2] " |"
    }
  }' "$page")
if [[ $(<"$page") != *"$counted"* ]]; then
  printf '%s: the table should be\n%s\n' "$page" "$counted" >&2
  exit 1
fi
