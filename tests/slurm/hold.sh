#!/usr/bin/env bash
# Stands before `metascale train RUN` in a job: holds the run in its middle until a test lets it go, so
# that a test need not hurry. usage: hold.sh FOLDER PROGRAM train RUN
#   FOLDER/release, FOLDER/release-<run id>   lets runs go, or this one
#   FOLDER/deaf                               runs do not hear that they are asked to save
# The run takes this shell's place, so that its end is seen as it is; a process beside it holds it.
set -u
export ASAN_OPTIONS=detect_leaks=0  # in such a build: MPI's libraries do not free all
folder=$1
shift
run=${*: -1}
process=$$

# A run that is stopped gets no signal before it goes on: bits of TERM and USR2 among those that wait.
is_asked() {
  local name bits
  [ ! -e "$folder/deaf" ] || return 1
  while read -r name bits; do
    [[ $name == SigPnd: || $name == ShdPnd: ]] && ((0x$bits & 0x4800)) && return 0
  done 2>/dev/null <"/proc/$process/status"
  return 1
}
is_released() { [ -e "$folder/release" ] || [ -e "$folder/release-${run##*/}" ] || is_asked; }
lives() { kill -0 "$process" 2>/dev/null; }
# Without a process of their own: a run makes some rows in the time that one takes to start.
count_rows() {
  local lines=()
  { mapfile -t lines <"$run/journal.jsonl"; } 2>/dev/null
  rows=${#lines[@]}
}
nap() { read -rt "$1" -u "$silence" _; }

# Stopped, but for a row now and then: one that has taken the signal just before it was stopped shows it
# only by going on to save, which it must do within Slurm's KillWait.
keep() {
  local pause=5 left
  while true; do
    kill -STOP "$process"
    for ((left = pause; left > 0; --left)); do
      if is_released || ! lives; then kill -CONT "$process" 2>/dev/null; return; fi
      nap 0.1
    done
    pause=$((4 * pause))
    [ ! -e "$folder/deaf" ] || continue
    count_rows
    kill -CONT "$process"
    local before=$rows
    until is_released || ! lives || [ "$rows" -gt "$before" ]; do nap 0.002; count_rows; done
  done
}

hold() {
  trap '' TERM USR2
  exec {silence}<> <(:)
  count_rows
  local first=$rows
  until is_released || ! lives || [ "$rows" -ge $((first + 8)) ]; do nap 0.002; count_rows; done
  is_released || ! lives || keep
}

hold &
exec "$@"
