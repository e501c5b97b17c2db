#!/usr/bin/env bash
# A Slurm cluster of two nodes on this machine, each declared with 64 CPUs and 8 GPUs, which the tests in this folder use.
#   apt-get install slurm-wlm munge
#   tests/slurm/start_cluster.sh         # as root; leaves one that already answers
#   tests/slurm/start_cluster.sh stop
# It has ports, a key and a folder of its own, so that whatever else of Slurm is set up here stays as it is.
set -euo pipefail
PATH=$PATH:/usr/sbin
FOLDER=${MIMICBRUSH_SLURM:-/tmp/mimicbrush-slurm}
HOST=$(hostname -s)
NODES=("$HOST" "$HOST-second")
export SLURM_CONF=$FOLDER/slurm.conf

fail() {
    echo "error: $1" >&2
    exit 2
}

check() {
    for program in munged slurmctld slurmd sinfo; do
        command -v "$program" > /dev/null || fail "$program is not installed; run: apt-get install slurm-wlm munge"
    done
    [ "$(id -u)" = 0 ] || fail "the nodes start jobs for their users: start the cluster as root"
}

answers() {
    [ -f "$SLURM_CONF" ] && [ "$(timeout 3 sinfo --noheader --Node --states=idle,mixed,alloc 2> /dev/null | wc -l)" = 2 ]
}

write_config() {
    cat > "$FOLDER/slurm.conf" << END
ClusterName=mimicbrush
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=6917
SlurmUser=root
# A requeued job waits until its old credentials have run out, two minutes by default.
AuthInfo=socket=$FOLDER/munge.socket,cred_expire=10
SchedulerParameters=sched_interval=2
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool-%n
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd-%n.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd-%n.log
# Seconds from SIGTERM to SIGKILL.
KillWait=10
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# What the nodes have is declared, not measured: tasks are bound to cores only where a test says to which.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=DEFAULT CPUs=64 CpuBind=none RealMemory=1000000 Gres=gpu:8
NodeName=${NODES[0]} NodeHostname=$HOST NodeAddr=127.0.0.1 Port=6918
NodeName=${NODES[1]} NodeHostname=$HOST NodeAddr=127.0.0.1 Port=6919
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    touch "$FOLDER"/gpu{0..7}
    echo "Name=gpu File=$FOLDER/gpu[0-7]" > "$FOLDER/gres.conf"
    # Nothing here uses cgroups; up to 22.05 there is no value that says so.
    case $(slurmd -V) in *" 22."*) plugin=cgroup/v1 ;; *) plugin=disabled ;; esac
    echo "CgroupPlugin=$plugin" > "$FOLDER/cgroup.conf"
}

start() {
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/state" "${NODES[@]/#/$FOLDER/spool-}"
    write_config
    (umask 077 && head -c 1024 /dev/urandom > "$FOLDER/munge.key")
    munged --socket="$FOLDER/munge.socket" --key-file="$FOLDER/munge.key" --log-file="$FOLDER/munged.log" \
        --pid-file="$FOLDER/munged.pid" --seed-file="$FOLDER/munged.seed"
    slurmctld
    for node in "${NODES[@]}"; do slurmd -N "$node"; done
}

await() {
    for _ in {1..60}; do
        ! answers || return 0
        sleep 1
    done
    tail --quiet --lines=5 "$FOLDER"/slurm*.log >&2
    fail "the cluster does not answer after a minute; its logs are in $FOLDER"
}

stop() {
    ! answers || scancel --quiet --user=root || true
    for file in "$FOLDER"/slurmd-*.pid "$FOLDER"/slurmctld.pid "$FOLDER"/munged.pid; do
        [ ! -f "$file" ] || end "$(cat "$file")"
    done
}

end() {
    runs "$1" || return 0
    kill "$1"
    for _ in {1..40}; do
        runs "$1" || return 0
        sleep 0.25
    done
    kill -KILL "$1"
}

# Only a daemon: its number may have passed to another process. What has ended and was not reaped has no command line.
runs() {
    grep --quiet --text --extended-regexp '^(munged|slurmctld|slurmd)' "/proc/$1/cmdline" 2> /dev/null
}

case ${1:-start} in
    start)
        check
        if ! answers; then
            stop
            start
            await
        fi
        echo "two nodes answer: export SLURM_CONF=$SLURM_CONF"
        ;;
    stop) stop ;;
    *) fail "expected start or stop, found $1" ;;
esac
