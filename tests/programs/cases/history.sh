# A repository with a few hundred commits, branches, merges, packs and searches: history.sh GIT
set -eu
git=$1
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' GIT_COMMITTER_DATE='2001-02-03T04:05:06Z'
"$git" init -q -b main .
for i in $(seq 60); do
  seq "$i" $((i * 20)) >"file$((i % 13))"
  mkdir -p "folder$((i % 5))"
  seq 100 >"folder$((i % 5))/$i"
  "$git" add -A
  "$git" commit -q -m "commit $i"
done
"$git" checkout -q -b side HEAD~20
echo side >side
"$git" add side
"$git" commit -q -m side
"$git" merge -q -m merge main
"$git" log --stat --oneline | sha256sum
"$git" log -p --all | sha256sum
"$git" gc -q --aggressive
"$git" fsck --full --no-progress
"$git" diff --stat HEAD~10 HEAD
"$git" grep -c 77 | head -5
"$git" blame file7 | tail -2
"$git" rev-parse HEAD
"$git" clone -q . copy
"$git" -C copy log --oneline | wc -l
