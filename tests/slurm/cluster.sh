#!/usr/bin/env bash
# A real Slurm for tests: nodes on loopback, everything in one folder; no systemd, no cgroups.
# usage: cluster.sh start FOLDER [NODES]
#        cluster.sh lose FOLDER NODE
#        cluster.sh kill|stop FOLDER
#   start  starts what does not run and waits until all nodes take jobs; jobs of before are kept.
#          NODES, of the first start: how many [1]: localhost, localhost2 ...
#   lose   ends all processes of NODE by SIGKILL, as a machine does that loses its power
#   kill   ends slurmctld and the first node's slurmd by SIGKILL, as a machine that fails would
#   stop   cancels all jobs and ends everything that start began, by process id
# Exit codes: 0 good; 1 it did not work, and the log says why; 69 not possible here: packages or rights
set -u
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
unset "${!SLURM@}" "${!SBATCH@}" 2>/dev/null

verb=${1:-} folder=${2:-} more=${3:-}
if [ $# -lt 2 ]; then sed -n '3,10p' "$0" | sed 's/^# //'; exit 2; fi
missing() { echo "skipped: $*"; exit 69; }
[ "$(id -u)" -eq 0 ] || missing "a Slurm of one's own needs root"
for program in munged slurmctld slurmd sbatch squeue scontrol; do
  command -v "$program" >/dev/null || missing "no $program here: scripts/install_dependencies.sh installs it"
done
mkdir -p "$folder/state"
folder=$(cd "$folder" && pwd -P)
[ ${#folder} -le 80 ] || missing "$folder: too long a name for the sockets in it"
export SLURM_CONF=$folder/slurm.conf
cpus=8  # of a node, whatever the machine has: jobs of tests mostly wait

# The id in a daemon's pid file, if that is a living process of its name that was started for this folder.
# Daemons: munged, slurmctld, slurmd.NODE.
process_of() {
  local id
  id=$(cat "$folder/$1.pid" 2>/dev/null) && [ -n "$id" ] || return 1
  [ "$(cat "/proc/$id/comm" 2>/dev/null)" = "${1%%.*}" ] || return 1
  tr '\0' ' ' <"/proc/$id/cmdline" 2>/dev/null | grep -qF "$folder/" && echo "$id"
}

end_process() {
  local id
  id=$(process_of "$2") || return 0
  kill "-$1" "$id" 2>/dev/null
  for _ in $(seq 50); do process_of "$2" >/dev/null || return 0; sleep 0.1; done
  kill -KILL "$id" 2>/dev/null
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first of so many in a row.
free_ports() {
  local port offset
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 11000))
    for ((offset = 0; offset < $1; ++offset)); do ! is_taken $((port + offset)) || continue 2; done
    echo "$port"
    return 0
  done
  return 1
}

names_of_nodes() { sed -n 's/^NodeName=\([^ ]*\) .*/\1/p' "$folder/slurm.conf"; }

# Where the machine's own name is a loopback name, the daemons listen there only.
listening() {
  [ "$(getent ahostsv4 "$(hostname)" 2>/dev/null | awk 'NR == 1 {print $1}')" != 127.0.0.1 ] ||
    echo "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny"
}

configure() {
  local port memory nodes=${more:-1} i
  port=$(free_ports $((nodes + 1))) || { echo "no free port"; exit 1; }
  memory=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
  cat >"$folder/slurm.conf" <<END
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
$(listening)
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
TmpFS=$folder/spool.%n
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=$((nodes > 1 ? 5 : 60))
KillWait=10
MinJobAge=300
MaxArraySize=101
$(for ((i = nodes; i >= 1; --i)); do  # where localhost is the first, all others are taken for it
    echo "NodeName=localhost${i#1} NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=$cpus RealMemory=$((memory / nodes)) State=UNKNOWN"
  done)
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
END
  (umask 077; head -c 1024 /dev/urandom >"$folder/munge.key")
}

start_daemons() {
  if ! process_of munged >/dev/null; then
    munged --force --num-threads=1 --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
      --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" \
      </dev/null >>"$folder/start.log" 2>&1 || return 1
  fi
  if ! process_of slurmctld >/dev/null; then
    # One that was killed may have forgotten its last job ids, and slurmd takes none a second time.
    starts=$(($(cat "$folder/starts" 2>/dev/null || echo 0) + 1))
    echo "$starts" >"$folder/starts"
    sed -i '/^FirstJobId=/d' "$folder/slurm.conf"
    echo "FirstJobId=$((1000 * starts))" >>"$folder/slurm.conf"
    slurmctld -f "$folder/slurm.conf" </dev/null >>"$folder/start.log" 2>&1 || return 1
  fi
  local node
  for node in $(names_of_nodes); do
    process_of "slurmd.$node" >/dev/null && continue
    mkdir -p "$folder/spool.$node"
    slurmd -N "$node" -f "$folder/slurm.conf" </dev/null >>"$folder/start.log" 2>&1 || return 1
  done
}

takes_jobs() {
  case $(timeout 5 sinfo -h -p main -n "$1" -o %T 2>/dev/null) in
    idle | mixed | allocated | completing) return 0 ;;
    *down* | *drain*) timeout 5 scontrol update "NodeName=$1" State=RESUME >/dev/null 2>&1 ;;
  esac
  return 1
}
all_take_jobs() {
  local node
  for node in $(names_of_nodes); do takes_jobs "$node" || return 1; done
}

# Processes of jobs that have such a variable: they carry this cluster's configuration in their environment.
job_processes() {
  local entry
  for entry in /proc/[0-9]*; do
    tr '\0' '\n' <"$entry/environ" 2>/dev/null | grep -qxF "SLURM_CONF=$SLURM_CONF" || continue
    tr '\0' '\n' <"$entry/environ" 2>/dev/null | grep -q "^$1" && echo "${entry#/proc/}"
  done 2>/dev/null  # processes end while we look
}

case $verb in
  start)
    [ -s "$folder/slurm.conf" ] || configure
    start_daemons || { tail -n 5 "$folder"/*.log; exit 1; }
    for _ in $(seq 200); do all_take_jobs && exit 0; sleep 0.1; done
    tail -n 5 "$folder"/*.log
    exit 1 ;;
  lose)
    daemon=$(process_of "slurmd.$more") || { echo "no node '$more'"; exit 1; }
    victims=("$daemon")
    for id in $(job_processes "SLURMD_NODENAME=$more\$"); do
      parent=$(awk '/^PPid:/ {print $2}' "/proc/$id/status")
      [ "$(cat "/proc/$parent/comm")" != slurmstepd ] || victims+=("$parent")  # no child of slurmd
      victims+=("$id")
    done 2>/dev/null
    kill -KILL "${victims[@]}" 2>/dev/null
    exit 0 ;;
  kill)
    end_process KILL slurmctld
    end_process KILL slurmd.localhost ;;
  stop)
    jobs=$(timeout 10 squeue -h -o %A 2>/dev/null | sort -u)
    # shellcheck disable=SC2086  # one word for each id
    [ -z "$jobs" ] || timeout 10 scancel --signal=KILL --full $jobs >/dev/null 2>&1
    end_process TERM slurmctld
    for node in $(names_of_nodes); do end_process TERM "slurmd.$node"; done
    for id in $(job_processes SLURM_JOB_ID=); do kill -KILL "$id" 2>/dev/null; done
    end_process TERM munged
    exit 0 ;;
  *) echo "cluster.sh: unknown verb '$verb'"; exit 2 ;;
esac
