#!/usr/bin/env bash
# Stands before `metascale train RUN` in a job: holds the run in its middle until a test lets it go, so
# that a test need not hurry. usage: hold.sh FOLDER PROGRAM train RUN
#   FOLDER/release, FOLDER/release-<run id>   lets runs go, or this one
#   FOLDER/deaf                               runs do not hear that they are asked to save
set -u
export ASAN_OPTIONS=detect_leaks=0  # in such a build: MPI's libraries do not free all
folder=$1
shift
run=${*: -1}
"$@" &
process=$!
asked=no
stop() {
  [ -e "$folder/deaf" ] && return
  asked=yes
  kill -TERM "$process"
  kill -CONT "$process"
}
trap stop TERM USR2

is_released() { [ "$asked" = yes ] || [ -e "$folder/release" ] || [ -e "$folder/release-$(basename "$run")" ]; }
lives() { kill -0 "$process" 2>/dev/null; }
rows() { { wc -l <"$run/journal.jsonl"; } 2>/dev/null || echo 0; }

first=$(rows)
until is_released || ! lives || [ "$(rows)" -ge $((first + 8)) ]; do sleep 0.02; done
if ! is_released && lives; then
  kill -STOP "$process"
  until is_released || ! lives; do sleep 0.1; done
  kill -CONT "$process" 2>/dev/null
fi
# A signal interrupts wait, whose code is then the signal's: the run's own end is what counts.
while lives; do wait "$process"; done
wait "$process"
exit $?
