#!/bin/sh
# The commands of davit that need no server: what they print, and their exit codes (0 done, 1 a problem, 2 wrong usage).
set -u
davit=$PWD/cli/davit
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
bad=0

# expect CODE OUT ERR ARGUMENT...: davit ARGUMENT... ends with CODE, and its outputs begin with OUT and ERR.
expect() {
	code=$1 out=$2 err=$3
	shift 3
	"$davit" "$@" >out 2>err </dev/null
	got=$?
	case $got:$(cat out) in
	"$code:$out"*) ;;
	*) got=bad ;;
	esac
	case $(cat err) in
	"$err"*) ;;
	*) got=bad ;;
	esac
	if [ "$got" = bad ]; then
		echo "davit $*: not exit $code with \"$out\" and \"$err\", but:"
		cat out err
		bad=1
	fi
}

expect 1 '' 'davit: daocloud.yml: No such file or directory' lint
printf 'image: busybox\nscript: make\n' >davit.yml
expect 0 '1 job, 0 warnings' '' lint
expect 0 '{"jobs":[{"name":"test","image":"busybox","env":[],"segments":[{"name":"script","commands":["make"]}]' \
	'' plan
printf 'image: busybox\nservice: [mysql]\nscript: make\n' >daocloud.yml
expect 1 '' 'daocloud.yml:2:1: unknown key "service"; did you mean "services"?' lint
expect 1 '' 'daocloud.yml:2:1: unknown key "service"; did you mean "services"?' plan
expect 0 '1 job, 0 warnings' '' lint davit.yml
printf 'image: busybox\nscript: make\nservices: [other]\n' >warned.yml
expect 0 '1 job, 1 warning' 'warning: warned.yml:3:12: no service "other" is known' lint warned.yml
expect 1 '' '-:1:1: the file is empty' lint -
expect 1 '' 'davit: .: Is a directory' lint .
head -c 300000 /dev/zero | tr '\0' '#' >large.yml
expect 1 '' 'large.yml:1:1: the file has 262145 bytes; at most 262144 are read' lint large.yml
expect 2 '' 'usage: davit lint [--event EVENT]' lint a b
expect 2 '' 'usage: davit plan [--event EVENT]' plan a b
expect 2 '' 'usage: davit plan [--event EVENT]' plan --branch
expect 2 '' 'usage: davit plan [--event EVENT]' plan --param x
expect 2 '' 'usage: davit plan [--event EVENT]' plan --nothing x
mkdir -p sub/ci templates
cat >sub/daocloud.yml <<'END'
include: [ci/common.yml, {template: golang}]
parameters: {target: staging}
jobs:
  lint: {script: [make lint], when: {path: "**/*.go"}}
  release: {script: ['make "${parameters.target}"'], when: {tag: "v*"}}
END
echo 'image: busybox' >sub/ci/common.yml
echo 'jobs: {test: {script: [go test ./...]}}' >templates/golang.yml
expect 0 '3 jobs, 0 warnings' '' lint --templates templates sub/daocloud.yml
expect 1 '' 'sub/daocloud.yml:1:10: the server has no template "golang"
davit: templates are the server'"'"'s; --templates names a folder that has them' lint sub/daocloud.yml
"$davit" plan --templates templates --branch main --path README.md --param target=live sub/daocloud.yml >out 2>err
for part in '"name":"lint","image":"busybox","env":["target=live"]' '"skipped":"when: no changed file fits **/*.go"' \
	'"skipped":"when: there is no tag, wants v*"' '"commands":["make \"${target}\""]' '"name":"test"'; do
	grep -qF "$part" out || {
		echo "davit plan: no $part in"
		cat out err
		bad=1
	}
done
expect 1 '' 'sub/daocloud.yml:1:1: the file has no parameter "taget"; did you mean "target"?' \
	lint --templates templates --param taget=x sub/daocloud.yml
rm sub/ci/common.yml
expect 1 '' 'sub/daocloud.yml:1:10: there is no file ci/common.yml to include' \
	lint --templates templates sub/daocloud.yml
expect 2 '' 'usage: davit COMMAND'
expect 2 '' 'davit: unknown command ""' ''
expect 2 '' 'davit: unknown command "lnit"' lnit
expect 0 'usage: davit COMMAND' '' help
expect 0 'usage: davit plan [--event EVENT]' '' help plan
expect 2 '' 'usage: davit help [COMMAND]' help nothing
expect 2 '' 'davit: say whose secret it is: --repo ID, --org NAME or --environment REPO/NAME' secret set TOKEN
expect 2 '' 'davit: a secret'\''s name has letters, digits, _ . -' secret set 'A B' --repo app
expect 2 '' 'davit: secret has no option --value' secret set TOKEN --repo app --value x
expect 2 '' 'davit: secret has no option --org, or not twice' secret set TOKEN --repo app --org acme
expect 2 '' 'usage: davit secret set NAME' secret set TOKEN plain-value --repo app
expect 2 '' 'usage: davit secret set NAME' secret set
expect 1 '' 'davit: none: No such file or directory' secret set TOKEN --repo app --file none
expect 1 '' 'davit: the value is too short' secret set TOKEN --repo app
head -c 60000 /dev/zero | tr '\0' x >large
expect 1 '' 'davit: the value has more than 49152 bytes' secret set TOKEN --repo app --file large
expect 0 'davit ' '' --version
if [ -w /dev/full ]; then
	"$davit" plan davit.yml >/dev/full 2>err
	[ $? = 1 ] && grep -q '^davit: standard output: No space left on device' err || {
		echo "davit plan to a full disk: $(cat err)"
		bad=1
	}
fi
exit "$bad"
