import type { CommandCompletion, CompletionSpec } from "./spec.ts";

/** The script for zsh. What a node says goes to `compadd` as it is, which quotes what it inserts. */
export function zshScript({ commands, groups, firstWords }: CompletionSpec): string {
  const members = (group: string) =>
    commands.filter(({ name }) => name.startsWith(`${group} `))
      .map(({ name, summary }) => described(name.slice(group.length + 1), summary));
  return `#compdef ark-node
# ark-node for zsh: source <(ark-node completion zsh), after compinit; or as a file _ark-node in $fpath.
# Made by ark-node itself; make it anew after an upgrade.

_ark_node_spec() {
  case "$1" in
${commands.map(specCase).join("\n")}
  (*) return 1 ;;
  esac
}

_ark_node_group() {
  case "$1" in
${groups.map((group) => `  (${group}) members=(${members(group).join(" ")}) ;;`).join("\n")}
  (*) return 1 ;;
  esac
}

_ark_node_values() {
  case "$1" in
  (files) _files ;;
  (directories) _files -/ ;;
  (?*)
    local -a values
    values=(\${(f)"$("$program" __complete "$1" \${data:+--data} \${data:+"$data"} 2>/dev/null </dev/null)"})
    values=(\${values%%$'\\t'*})
    compadd -a values
    ;;
  esac
}

_ark_node() {
  local program=\${(Q)words[1]} one='' two='' cur=\${(Q)words[CURRENT]} data='' skip='' word
  local -a members flags places typed top
  local -A valued
  local -i from=1 place=1
  typed=("\${(@Q)words[2,CURRENT-1]}")
  one=\${typed[1]-} two=\${typed[2]-}
  top=(${firstWords.map(({ word, summary }) => described(word, summary)).join(" ")})
  if [[ -z $one && $cur != -* ]]; then
    _describe -t commands command top
    return
  fi
  if [[ -z $two && $cur != -* ]]; then
    if [[ $one == help ]]; then
      _describe -t commands command top
      return
    elif _ark_node_group "$one"; then
      _describe -t commands command members
      return
    fi
  fi
  if [[ -z $one || $one == -* ]]; then
    _ark_node_spec serve
  elif [[ -n $two ]] && _ark_node_spec "$one $two"; then
    from=3
  elif _ark_node_spec "$one"; then
    from=2
  else
    return 1
  fi
  for word in "\${(@)typed[from,-1]}"; do
    if [[ -n $skip ]]; then
      [[ $skip == --data ]] && data=\${word/#\\~/$HOME}
      skip=''
    elif (( \${+valued[$word]} )); then
      skip=$word
    elif [[ $word == --data=* ]]; then
      data=\${word#*=} data=\${data/#\\~/$HOME}
    elif [[ -n $word && $word != -* ]]; then
      place+=1
    fi
  done
  if [[ -z $skip && $cur == --*=* ]]; then
    skip=\${cur%%=*}
    compset -P '*='
  fi
  if [[ -n $skip ]]; then
    _ark_node_values "\${valued[$skip]-}"
  elif [[ $cur == -* ]]; then
    _describe -t options option flags
  else
    _ark_node_values "\${places[place]-}"
  fi
}

if [[ \${funcstack[1]-} == _ark-node ]]; then
  _ark_node "$@"
else
  compdef _ark_node ark-node
fi
`;
}

function specCase({ name, group, flags, places }: CommandCompletion): string {
  const all = flags.flatMap(({ name, short, help }) =>
    [name, ...short === null ? [] : [short]].map((flag) => described(flag, help))
  );
  const valued = flags.filter(({ valued }) => valued).flatMap(({ name, short, kind }) =>
    [name, ...short === null ? [] : [short]].map((flag) => `${flag} '${kind ?? ""}'`)
  );
  return `  ('${name}'${group === null ? "" : ` | ${group}`}) flags=(${all.join(" ")}) valued=(${
    valued.join(" ")
  }) places=(${places.map((kind) => `'${kind ?? ""}'`).join(" ")}) ;;`;
}

/** A word and what it is for, as `_describe` takes them, quoted. */
function described(word: string, help: string): string {
  return `'${word.replaceAll(":", "\\:")}:${help.replaceAll("'", "’")}'`;
}
