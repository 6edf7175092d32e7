// Text for shells, for sbatch and for other batch systems: whatever a name holds, it stays a name.
#include <fmt/format.h>

#include <fstream>

#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/executor/quote.hpp"
#include "sweeps/scheduler.hpp"
#include "sweeps/submit/grouping.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using Catch::Contains;
using Words = std::vector<std::string>;

namespace {

const Words hostile_names{"plain",
                          "two words",
                          "it's",
                          "\"quoted\"",
                          "$(touch harm)",
                          "`touch harm`",
                          "a\nb",
                          "-rf",
                          "\\",
                          "a;b&c|d>e<f",
                          "",
                          "*?[x]{y}~",
                          "tab\there",
                          "$HOME",
                          "# no comment"};

Submission submission_of(const std::string& launch) {
  const Definition definition = small_definition({"launch=" + launch});
  Submission submission{.sweep = "small", .name = "small.0001", .how = SlurmLaunch{}};
  if (const auto* slurm = std::get_if<SlurmLaunch>(&definition.launch.how)) submission.how = *slurm;
  if (const auto* other = std::get_if<TemplateLaunch>(&definition.launch.how))
    submission.how = *other;
  submission.job = definition.launch.job;
  submission.tasks = {{"a"}, {"b"}, {"c"}};
  submission.program = "/opt/it's here/metascale";
  return submission;
}

}  // namespace

TEST_CASE("scripts: a shell gives a quoted word back as it was") {
  const std::string text = GENERATE(from_range(hostile_names));
  CAPTURE(text);
  const CommandResult result =
      run_command({"sh", "-c", "printf '%s|' " + shell_quoted(Words{text, text})});
  CHECK(result.good());
  CHECK(result.output == text + "|" + text + "|");
}

TEST_CASE("scripts: a comment shows words as bash takes them, on one line") {
  const std::string text = GENERATE(from_range(hostile_names));
  CAPTURE(text);
  const std::string comment = comment_quoted({text, text});
  CHECK(comment.find('\n') == std::string::npos);
  const CommandResult result = run_command({"bash", "-c", "printf '%s|' " + comment});
  CHECK(result.output == text + "|" + text + "|");
}

TEST_CASE("scripts: each shows with which command its runs are started") {
  Submission submission =
      submission_of("{slurm: {srun: [--mpi=pmix], container: [apptainer, exec, 'my image.sif']}}");
  const std::string train =
      "apptainer exec 'my image.sif' '/opt/it'\\''s here/metascale' train /results/x/runs/RUN\n";
  const std::string folder = "/results/x/submissions/0001",
                    says = "\n# starts each of its runs by: ";
  CHECK_THAT(slurm_script(submission, folder), Contains(says + train));
  submission.resources.ranks = 2;
  CHECK_THAT(
      slurm_script(submission, folder),
      Contains(says +
               "srun --ntasks=2 --cpus-per-task=1 --kill-on-bad-exit=1 --export=ALL --mpi=pmix " +
               train));
  Submission other = submission_of(
      "{template: {submit: 'qsub {script}', state: 'qstat {job}', cancel: 'qdel {job}', launcher: "
      "[mpirun, -n, '{ranks}']}}");
  other.resources.ranks = 4;
  other.program = "/a\ntouch harm";
  CHECK_THAT(template_script(other, folder, 0),
             Contains(says + "mpirun -n 4 $'/a\\x0atouch harm' train /results/x/runs/RUN\n"));
}

TEST_CASE("scripts: a command is split at its blanks only, and no shell sees it") {
  CHECK(*split_words("qsub  -N 'two words' \"it's\" a\\ b $(x) ''") ==
        Words{"qsub", "-N", "two words", "it's", "a b", "$(x)", ""});
  CHECK(split_words(" \t ")->empty());
  CHECK_FALSE(split_words("an 'open one"));
}

TEST_CASE("scripts: an array of Slurm has its resources, its warning and its site's lines") {
  Submission submission = submission_of(
      "{slurm: {partition: gpu, account: my lab, qos: q, constraint: 'a&b', array_cap: 2, "
      "signal_before: 90s, lines: ['--exclusive', '--comment=a b'], modules: [cuda/12, 'x;y'], "
      "setup: ['source env.sh'], environment: [PATH, HOME]}}");
  submission.resources = {
      .gpus = 8, .ranks = 8, .nodes = 2, .cpus = 32, .runs = 1, .time = 90061, .memory = "16G"};
  submission.dependency = "44_1";
  const std::string script = slurm_script(submission, "/results/a 'b'/submissions/0001");
  for (const char* line :
       {"#!/bin/bash\n",
        "#SBATCH --job-name=small.0001\n",
        "#SBATCH --array=0-2%2\n",
        "#SBATCH --nodes=2\n",
        "#SBATCH --ntasks=8\n",
        "#SBATCH --cpus-per-task=4\n",
        "#SBATCH --gres=gpu:4\n",
        "#SBATCH --mem=16G\n",
        "#SBATCH --time=1-01:02:00\n",
        "#SBATCH --signal=B:USR2@90\n",
        "#SBATCH --open-mode=append\n",
        "#SBATCH --requeue\n",
        "#SBATCH --export=PATH,HOME\n",
        "#SBATCH \"--account=my lab\"\n",
        "#SBATCH \"--constraint=a&b\"\n",
        "#SBATCH --dependency=afterany:44_1\n",
        "#SBATCH --exclusive\n",
        "#SBATCH \"--comment=a b\"\n",
        "module load cuda/12 || {",
        "module load 'x;y' || {",
        "source env.sh\n",
        "exec '/opt/it'\\''s here/metascale' launch '/results/a '\\''b'\\''/submissions/0001' "
        "\"$SLURM_ARRAY_TASK_ID\"\n"})
    CHECK_THAT(script, Contains(line));
}

TEST_CASE("scripts: a module that does not load ends the job with 69, and nothing is started") {
  const Folder folder;
  Submission submission = submission_of("{slurm: {modules: [good, 'it''s bad', never]}}");
  submission.program = folder.program("echo started\n");
  const auto run = [&](const std::string& bad) {
    std::ofstream(folder.path / "job.sh")
        << "module() { echo \"$@\"; [ \"$2\" != \"" + bad + "\" ]; }\n"
        << slurm_script(submission, folder.path);
    return run_command({"bash", (folder.path / "job.sh").string()});
  };
  const CommandResult bad = run("it's bad"), good = run("another");
  CHECK(bad.exit_code == int(ExitCode::unavailable));
  CHECK(bad.output == "load good\nload it's bad\n");
  CHECK_THAT(bad.error, Contains("module load 'it'\\''s bad' failed: nothing was started; mend"));
  CHECK(good.good());
  CHECK(good.output == "load good\nload it's bad\nload never\nstarted\n");
}

TEST_CASE("scripts: a folder that Slurm would misread is kept from it") {
  const Submission submission = submission_of("{slurm: {}}");
  CHECK_THAT(slurm_script(submission, "/results"), Contains("#SBATCH --output=%a.out\n"));
  for (const std::string folder : {"/100 %/results", "/a \\b/results"})
    CHECK_THAT(slurm_script(submission, folder),
               Contains("#SBATCH --output=/dev/null\n") &&
                   Contains("exec >>'" + folder + "'/\"$SLURM_ARRAY_TASK_ID\".out 2>&1\n"));
}

TEST_CASE("scripts: directives fill in what they name, and refuse what stands for nothing") {
  Submission submission = submission_of(
      "{template: {submit: 'qsub {script}', state: 'qstat {job}', cancel: 'qdel {job}', lines: "
      "['#PBS -l walltime={hours},ncpus={cpus}', '#PBS -N {{x}-{name}']}}");
  submission.resources = {.runs = 2, .time = 5400};
  const std::string script = template_script(submission, "/results/submissions/0001", 2);
  CHECK_THAT(script, Contains("#PBS -l walltime=01:30:00,ncpus=2\n#PBS -N {x}-small.0001.2\n") &&
                         Contains(" launch /results/submissions/0001 2\n"));
  const auto fill = [&](const std::string& text, const std::string& folder) {
    return refusal_of([&] {
      std::get<TemplateLaunch>(submission.how).lines = {text};
      template_script(submission, folder, 0);
    });
  };
  CHECK_THAT(fill("#PBS {queue}", "/f"), Contains("'{queue}' stands for nothing"));
  CHECK_THAT(fill("#PBS -d {folder}", "/a\nrm -rf b"), Contains("a line break"));
}

TEST_CASE("scripts: a launch that would give text to a shell as code is refused") {
  const auto refusal = [](const std::string& launch) {
    return refusal_of([&] { small_definition({"launch=" + launch}); });
  };
  const std::string rest = "state: 'qstat {job}', cancel: 'qdel {job}'}}";
  CHECK_THAT(refusal("{template: {submit: [sh, -c, 'qsub {script}'], " + rest),
             Contains("code with a hole"));
  CHECK(refusal("{template: {submit: [sh, -c, 'qsub \"$1\"', sh, '{script}'], " + rest) ==
        "accepted");
  CHECK_THAT(refusal("{template: {submit: \"qsub 'x\", " + rest), Contains("not closed"));
  CHECK_THAT(refusal("{template: {submit: qsub, job: '(', " + rest),
             Contains("no regular expression"));
  CHECK_THAT(refusal("{slurm: {account: \"a\\nb\"}}"), Contains("line break"));
  CHECK_THAT(refusal("{slurm: {environment: ['A=b']}}"), Contains("no name of a variable"));
  CHECK_THAT(refusal("{slurm: {accuont: x}}"), Contains("account"));
}

TEST_CASE("scripts: resources that contradict each other are refused") {
  const auto refusal = [](const JobResources& resources) {
    Submission submission = submission_of("{slurm: {signal_before: 120s}}");
    submission.resources = resources;
    return refusal_of([&] { check_resources(submission); });
  };
  CHECK(refusal({.gpus = 8, .ranks = 8, .nodes = 2, .time = 3600}) == "accepted");
  CHECK_THAT(refusal({.gpus = 8, .ranks = 8, .nodes = 3}), Contains("on 3 nodes"));
  CHECK_THAT(refusal({.gpus = 8, .ranks = 4}), Contains("each rank has one GPU"));
  CHECK_THAT(refusal({.gpus = 2, .ranks = 2, .runs = 2}), Contains("share a job"));
  CHECK_THAT(refusal({.time = 100}), Contains("raise it, or lower signal_before of launch"));
}

TEST_CASE("scripts: what a batch system cannot give is refused by check, with its place") {
  const auto refusal = [](const std::string& lines) {
    return refusal_of([&] { resolve(parse_definition(small_sweep + lines, "sweep.yaml")); });
  };
  const std::string slurm = "launch: {slurm: {}}\n";  // line 13
  CHECK_THAT(refusal(slurm + "resources: {default: {time: 60s}}\n"),
             Contains("sweep.yaml:14:") && Contains("resources.default.time: 60 s, but each job"));
  CHECK_THAT(
      refusal(slurm + "resources:\n  default: {gpus: 8}\n  when: [{arm: rwkv7, nodes: 3}]\n"),
      Contains("sweep.yaml:16:") && Contains("nodes: 8 GPUs and 8 ranks on 3 nodes"));
  CHECK(refusal("resources: {default: {time: 60s}}\n") == "accepted");  // for this machine
  CHECK_THAT(refusal("launch: {slurm: {signal_before: 19h}}\n"),
             Contains("sweep.yaml:13:") &&
                 Contains("signal_before: '19h' is too early a warning") &&
                 Contains("at most 65535 seconds"));
  const auto commands = [&](const std::string& submit, const std::string& rest) {
    return refusal("launch: {template: {submit: " + submit +
                   ", state: 'qstat {jobs}', cancel: " + "'qdel {job}'" + rest + "}}\n");
  };
  CHECK(commands("'qsub {script}'", "") == "accepted");
  CHECK_THAT(commands("'qsub {nope}'", ""), Contains("sweep.yaml:13:") &&
                                                Contains("submit: '{nope}' stands for nothing") &&
                                                Contains("there are {script} {job}"));
  CHECK_THAT(commands("'qsub {jobs}'", ""), Contains("'{jobs}' stands for nothing"));
  CHECK_THAT(commands("'qsub {script}'", ", lines: ['#PBS {queue}']"),
             Contains("'{queue}' stands for nothing"));
}

TEST_CASE("scripts: options by which jobs are found and started again are not taken from lines") {
  const auto refusal = [](const std::string& line) {
    return refusal_of([&] { small_definition({"launch={slurm: {lines: ['" + line + "']}}"}); });
  };
  const char* line = GENERATE(
      "--job-name=mine", "-J mine", "-Jmine", "--job-n mine", "-HJ mine", "--array=0-99", "-a0",
      "--no-requeue", "--requeue", "--open-mode=truncate", "--signal=B:TERM@9",
      "--dependency=singleton", "-d singleton", "--clusters=all", "-W", "--test-only",
      " --job-name=mine", "--nodes 2", "-N2", "--ntasks=4", "-n 4", "-HN 2", "--cpus-per-task=2",
      "-c 2", "--chdir=/tmp", "-D /tmp", "--output x", "-o x", "--export=ALL", "--expor=ALL",
      "--gpus=2", "-G 2", "--gpus-per-node=h100:2", "--gpus-per-task=1", "--gpus-per-socket=1");
  CHECK_THAT(refusal(line), Contains("launch.slurm.lines") && Contains(line) &&
                                Contains("is an option that submit gives sbatch itself"));
  for (const char* other :
       {"--exclusive", "--comment=--job-name", "-C a", "-pJ", "--wait-all-nodes=1",
        "--deadline=now+1day", "-H", "--nodelist=a", "--ntasks-per-node=1", "--cpus-per-gpu=4",
        "--export-file=f", "--gres=gpu:h100:2", "--gpu-bind=none", "-e x", "--error=x"})
    CHECK(refusal(other) == "accepted");
}

TEST_CASE("scripts: an option that is refused says what to write instead") {
  const auto refusal = [](const std::string& line) {
    return refusal_of([&] { small_definition({"launch={slurm: {lines: ['" + line + "']}}"}); });
  };
  CHECK_THAT(refusal("--nodes=2"), Contains("; write resources.nodes"));
  CHECK_THAT(refusal("-n 4"), Contains("; write resources.ranks"));
  CHECK_THAT(refusal("-c4"), Contains("; write resources.cpus"));
  CHECK_THAT(refusal("--gpus-per-node=2"),
             Contains("; write resources.gpus") && Contains("--gres=gpu:h100:2"));
  CHECK_THAT(refusal("--export ALL"), Contains("; write launch.slurm.environment"));
  CHECK_THAT(refusal("-o x"), Contains("; jobs print into their submission's folder"));
  CHECK_THAT(refusal("-D /tmp"), Contains("; jobs begin in their submission's folder"));
}

TEST_CASE("scripts: a line with a blank becomes one word that sbatch reads as it is meant") {
  const auto [text, word] = GENERATE(
      table<std::string, std::string>({{"--partition main", "--partition=main"},
                                       {"--partition  main ", "--partition=main"},
                                       {"--partition\tmain", "--partition=main"},
                                       {"--partition= main", "--partition=main"},
                                       {"--partition = main", "--partition=main"},
                                       {"  --partition=main  ", "--partition=main"},
                                       {"--exclusive ", "--exclusive"},
                                       {"--nice 5", "--nice=5"},
                                       {"-p main", "-pmain"},
                                       {"-Hp main", "-Hpmain"},
                                       {"-pmain ", "-pmain"},
                                       {"--comment a b", "--comment=a b"},
                                       {"--comment a=b c", "--comment=a=b c"},
                                       {"--comment it's \\\"a\\\" - b", "--comment=it's \"a\" - b"},
                                       {"-C a b", "-Ca b"}}));
  CAPTURE(text);
  const Submission submission = submission_of("{slurm: {lines: [\"" + text + "\"]}}");
  CHECK(std::get<SlurmLaunch>(submission.how).lines == Words{word});
  CHECK(sbatch_options(submission, "/results").back() == word);
}

TEST_CASE("scripts: a line that sbatch would misread is refused with what to write") {
  const auto refusal = [](const std::string& line) {
    return refusal_of([&] { submission_of("{slurm: {lines: [\"" + line + "\"]}}"); });
  };
  const std::string several = "; write one option each: ['--exclusive', '--comment=text']";
  for (const char* line : {"--partition main --qos high", "--partition=main --qos=high",
                           "-p main -q high", "--exclusive --qos=high", "-H -p main"})
    CHECK_THAT(refusal(line),
               Contains(fmt::format("'{}' is one word for sbatch, which misreads it", line)) &&
                   Contains(several));
  CHECK_THAT(refusal("--comment='a b'"), Contains("; write --comment=a b"));
  CHECK_THAT(refusal("--comment \\\"a b\\\""), Contains("; write --comment=a b"));
  CHECK_THAT(refusal("-C 'a&b'"), Contains("; write -Ca&b"));
  CHECK_THAT(refusal("-p=main"), Contains("; write -pmain"));
}

TEST_CASE("scripts: a line that is no option of sbatch is refused at its place") {
  const std::string text = GENERATE("account=x", "module load cuda", "#SBATCH --exclusive", "-",
                                    "--", "---x", "export A=b");
  CHECK(refusal_of([&] {
          parse_definition(
              small_sweep + ("launch: {slurm: {lines: [--exclusive, \"" + text + "\"]}}\n"),
              "sweep.yaml");
        }) == "sweep.yaml:13: launch.slurm.lines[1]: '" + text +
                  "' is no option of sbatch; write its options, one each and without #SBATCH, such "
                  "as --comment=text; shell code belongs in setup");
}

TEST_CASE("scripts: a time limit is in resources or in lines, and not in both") {
  const auto refusal = [](const std::string& resources, const std::string& line) {
    return refusal_of([&] {
      parse_definition(small_sweep + ("resources: " + resources + "\nlaunch: {slurm: {lines: ['" +
                                      line + "']}}\n"),
                       "sweep.yaml");
    });
  };
  const std::string line = GENERATE("--time=2:00:00", "--time 120", "-t120", "-t 120",
                                    "--time  120 ", "-Ht120", "--tim=120");
  const auto wrong = [&](const std::string& key) {
    return "sweep.yaml:14: launch.slurm.lines[0]: '" + line + "' would be overruled by " + key +
           " (sweep.yaml:13), which submit gives sbatch as an argument; keep one of them; only "
           "resources.time tells jobs how long they have";
  };
  CHECK(refusal("{default: {time: 4h}}", line) == wrong("resources.default.time"));
  CHECK(refusal("{default: {cpus: 2}, when: [{arm: rwkv7, cpus: 4}, {arm: rwkv7, time: 4h}]}",
                line) == wrong("resources.when[1].time"));
  CHECK(refusal("{default: {cpus: 2}}", line) == "accepted");
  CHECK(refusal("{default: {time: 4h}}", "--time-min=60") == "accepted");
}

TEST_CASE("scripts: a partition's own limit is announced, too") {
  const Submission submission = submission_of("{slurm: {signal_before: 90s}}");
  CHECK_THAT(slurm_script(submission, "/results"),
             Contains("#SBATCH --signal=B:USR2@90\n") && !Contains("--time"));
}

TEST_CASE("scripts: arrays that MaxArraySize made of one share its cap") {
  const auto caps = [](int cap, std::size_t most_tasks) {
    const Definition definition = small_definition(
        {fmt::format("launch={{slurm: {{array_cap: {}}}}}", cap), "axes.seed=[1, 2, 3, 4, 5]"});
    const Resolution resolution = resolve(definition);
    std::vector<GroupedRun> runs;
    for (const PlannedRun& run : resolution.runs)
      runs.push_back({.run = &run, .parent = "", .behind = ""});
    std::vector<std::int64_t> caps;
    for (const Submission& submission : grouped(definition, runs, most_tasks, "metascale"))
      caps.push_back(std::get<SlurmLaunch>(submission.how).array_cap);
    return caps;
  };
  using Caps = std::vector<std::int64_t>;
  CHECK(caps(3, 1000) == Caps{3});
  CHECK(caps(8, 4) == Caps{3, 3, 2});  // of 4, 4 and 2 tasks
  CHECK(caps(1, 4) == Caps{1, 1, 1});  // less cannot be
}
