"""Steps are where a newcomer looks for them: steps.def, the files and the playbook name the same; a step file includes
nothing that could have an effect behind the journal's back; its first line says which item of the process it is."""
import json
import os
import re
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(SOURCE, "worker/steps")
STEP_INCLUDES = re.compile(r'"(worker/step\.h|worker/steps/[a-z_]+\.h|common/aws/services/[a-z0-9_]+\.h|common/codec/json\.h|'
                           r'common/proof/(fingerprint|fingerprint_words|verdict|attribution|bracket)\.h|common/policy/policy\.h)"|<(ctype|stddef|stdio|string|strings)\.h>')
# Helpers are pure, too; they may assert and copy.
HELPER_INCLUDES = re.compile(STEP_INCLUDES.pattern + r'|"common/base/(assert|mem|str|err)\.h"|"common/codec/[a-z]+\.h"|'
                             r'"worker/steps/steps\.def"')
EFFECTS = re.compile(r"\b(time|clock_gettime|gettimeofday|rand|random|getenv|setenv|fopen|open|socket|env_[a-z_]+|uv_[a-z_]+|"
                     r"redis[A-Za-z_]*|curl_[a-z_]+|aws_call|http_send)\s*\(")

faults = []


def check(is_so, where, what):
    if not is_so:
        faults.append("%s: %s" % (where, what))


def code_of(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def check_step(name, item):
    path = os.path.join(FOLDER, name + ".c")
    if not os.path.exists(path):
        return
    text = open(path, encoding="utf-8").read()
    head = text.split("\n", 1)[0] + " " + text.split("\n", 2)[1]
    wanted = "FAQ" if item == "FAQ" else "Process item " + item
    check(wanted in head, path, "its first lines do not say \"%s\"" % wanted)
    check(re.search(r'\.name = "%s"' % name, text), path, "its definition has another name")
    check(re.search(r'\.item = "%s"' % re.escape(item), text), path, "its definition has another item than the playbook: " + item)
    for include in re.findall(r"^#include\s+(\S+)", text, flags=re.M):
        check(STEP_INCLUDES.fullmatch(include), path, "includes " + include)


def check_file(path):
    text = open(path, encoding="utf-8").read()
    for include in re.findall(r"^#include\s+(\S+)", text, flags=re.M):
        check(HELPER_INCLUDES.fullmatch(include), path, "includes " + include)
    for call in EFFECTS.finditer(code_of(text)):
        check(False, path, "has an effect of its own: %s()" % call.group(1))


def main():
    lines = open(os.path.join(FOLDER, "steps.def"), encoding="utf-8").read()
    names = re.findall(r"^STEP\((\w+)\)", lines, flags=re.M)
    books = os.path.join(SOURCE, "dispatcher/playbooks")
    playbooks = {file[:-5]: json.load(open(os.path.join(books, file), encoding="utf-8"))["steps"]
                 for file in sorted(os.listdir(books)) if file.endswith(".json")}
    items = {step["id"]: step["item"] for steps in playbooks.values() for step in steps}
    first = [step["id"] for step in playbooks["payer-handover"]]
    check(len(names) == len(set(names)), "steps.def", "names one step twice")
    check(set(names) == set(items), "steps.def and playbooks", "differ in %s" % sorted(set(names) ^ set(items)))
    check(names[:len(first)] == first, "steps.def", "does not begin with the steps of the handover, in their order")
    for name in names:
        check(os.path.exists(os.path.join(FOLDER, name + ".c")), name, "has no file")
        check_step(name, items.get(name, "?"))
    for file in sorted(os.listdir(FOLDER)):
        if not file.endswith(".c"):
            continue
        path = os.path.join(FOLDER, file)
        check_file(path)
        for made in re.findall(r"const struct step_def step_(\w+) =", open(path, encoding="utf-8").read()):
            check(made in names and file == made + ".c", path, "defines the step %s, which steps.def does not name so" % made)
        check(file[:-2] not in names or re.search(r"step_def step_%s =" % file[:-2], open(path, encoding="utf-8").read()), path,
              "does not define its step")
    scenarios = os.path.join(SOURCE, "tests/scenarios")
    for folder in os.listdir(scenarios):
        check(folder in names or not os.path.isdir(os.path.join(scenarios, folder)), "tests/scenarios/" + folder, "is no step's")
    for name in names:
        check(os.path.isdir(os.path.join(scenarios, name)), name, "has no scenarios")
    print("\n".join(faults) if faults else "%d steps: names, includes and first lines agree" % len(names))
    sys.exit(1 if faults else 0)


main()
