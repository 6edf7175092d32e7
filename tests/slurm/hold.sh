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
is_released() { [ -e "$folder/release" ] || [ -e "$folder/release-$(basename "$run")" ] || is_asked; }
lives() { kill -0 "$process" 2>/dev/null; }
rows() { { wc -l <"$run/journal.jsonl"; } 2>/dev/null || echo 0; }

hold() {
  trap '' TERM USR2
  local first
  first=$(rows)
  until is_released || ! lives || [ "$(rows)" -ge $((first + 8)) ]; do sleep 0.02; done
  if ! is_released && lives; then
    kill -STOP "$process"
    until is_released || ! lives; do sleep 0.1; done
    kill -CONT "$process" 2>/dev/null
  fi
}

hold &
exec "$@"
