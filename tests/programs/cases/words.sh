# Strings, arrays, associative arrays, subshells, pipes and here-documents.
set -eu
declare -A count
text=""
for ((i = 0; i < 3000; ++i)); do
  word="word$((i * 7919 % 251))"
  count[$word]=$((${count[$word]:-0} + 1))
  text+="$word "
done
for word in $(printf '%s\n' "${!count[@]}" | sort | head -20); do
  echo "$word ${count[$word]}"
done
echo "${#text} $(tr ' ' '\n' <<<"$text" | sort -u | wc -l)"
for i in $(seq 30); do
  (echo "subshell $i" | sed 's/sub/SUB/') &
  wait $!
done
function deep() { [ "$1" -eq 0 ] && echo bottom || deep $(($1 - 1)); }
deep 200
IFS=, read -ra fields <<<"a,b,c,d"
printf '<%s>' "${fields[@]}" "${text:100:50}"
echo
