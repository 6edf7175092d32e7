#!/usr/bin/env bash
# A sweep of a thousand tiny runs on this machine: how long plan, submit, run and status take, and how
# much memory. Slurm is played by scripts that keep its queue in a file. Prints a table in Markdown.
# usage: bench_thousand_runs.sh PROGRAM [SEEDS]
#   PROGRAM  the metascale to measure
#   SEEDS    half the number of runs [500]
set -euo pipefail
[ $# -ge 1 ] || { sed -n '4,6p' "$0" | sed 's/^# //'; exit 2; }
program=$(realpath "$1") seeds=${2:-500}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir text
for part in train val test; do
  for line in $(seq 200); do
    echo "{\"text\": \"$part $line: state time mix the reads value of key, $((line * line))\"}"
  done >"text/$part.jsonl"
done
"$program" data prepare text --out tokens --tokenizer bytes >prepare.log
cat >sweep.yaml <<END
schema: 1
name: thousand
arms:
  rwkv7: {architecture: rwkv7, rank_decay: 8, rank_rate: 8, rank_value: 8, rank_gate: 8}
  transformer: {architecture: transformer}
match: {on: non_embedding_parameters, tolerance: 2%}
axes:
  size: [{name: 30k, layers: 2, width: 32, head_size: 16, target: 30k}]
  length: [2560 tokens]
  seed: [$(seq -s ', ' "$seeds")]
training: {batch_tokens: 256, context: 32}
data: {name: tiny, train: tokens/train, validation: tokens/validation, test: tokens/test}
END
slurm=(--set 'launch={slurm: {array_cap: 100}}')

mkdir slurm
cat >slurm/sbatch <<'END'
#!/bin/bash
here=$(dirname "$0")
echo x >>"$here/arrays"
array=$((40 + $(wc -l <"$here/arrays")))
for word in "$@"; do
  case $word in
    --job-name=*) name=${word#*=} ;;
    --array=*) last=${word#*=0-} last=${last%%[%]*} ;;
  esac
done
for task in $(seq 0 "$last"); do echo "$array|$task|RUNNING|n1|None|1:00|$EPOCHSECONDS|$name"; done >>"$here/queue"
echo "$array"
END
printf '#!/bin/bash\ncat "$(dirname "$0")/queue" 2>/dev/null; true\n' >slurm/squeue
printf '#!/bin/bash\nexit 1\n' >slurm/scontrol
chmod +x slurm/*

# measure EXPECTED NAME WORD...: wall seconds and the largest process's memory; fails where the output
# does not hold a line that EXPECTED, a regular expression, matches
measure() {
  python3 - "$@" <<'END'
import re, resource, subprocess, sys, time
expected, name, *words = sys.argv[1:]
begin = time.monotonic()
output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
seconds = time.monotonic() - begin
if not re.search(expected, output, re.MULTILINE):
    sys.exit(f"{name}: no line matches '{expected}'; the last are\n" + "\n".join(output.splitlines()[-5:]))
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"| {name} | {seconds:.2f} s | {memory:.0f} MB |", flush=True)
END
}
runs=$((2 * seeds))
echo "| $runs runs | wall time | memory |"
echo "|---|---|---|"
measure '^total: ' plan "$program" plan sweep.yaml
measure '^exec .* launch ' "submit --print, Slurm's arrays" "$program" submit sweep.yaml --print "${slurm[@]}"
measure "^$runs done" "run, $(nproc) cores" "$program" run sweep.yaml --no-report
measure "^$runs done" "status, all done" "$program" status results/thousand
export PATH="$folder/slurm:$PATH"
measure " $runs runs in $runs jobs: 41_0 to " "submit, as arrays (Slurm's commands played)" \
  "$program" submit sweep.yaml --results arrays "${slurm[@]}"
measure "^$runs running" "status, all in the queue (the same)" "$program" status arrays/thousand
measure '^nothing to submit' "submit again, nothing to do (the same)" \
  "$program" submit sweep.yaml --results arrays "${slurm[@]}"
measure '^total: ' "plan, all done" "$program" plan sweep.yaml
