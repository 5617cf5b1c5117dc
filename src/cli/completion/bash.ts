import type { CommandCompletion, CompletionSpec } from "./spec.ts";

/** The script for bash. What a node says is never expanded by the shell: it is compared and copied, word by word. */
export function bashScript({ commands, groups, firstWords }: CompletionSpec): string {
  const members = (group: string) =>
    commands.filter(({ name }) => name.startsWith(`${group} `)).map(({ name }) => name.slice(group.length + 1));
  return `# ark-node for bash: source <(ark-node completion bash)
# Made by ark-node itself; make it anew after an upgrade.

_ark_node_spec() {
  case "$1" in
${commands.map(specCase).join("\n")}
  *) return 1 ;;
  esac
}

_ark_node_group() {
  case "$1" in
${groups.map((group) => `  ${group}) members='${members(group).join(" ")}' ;;`).join("\n")}
  *) return 1 ;;
  esac
}

_ark_node_add() {
  local word
  for word in "$@"; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
  done
}

_ark_node_values() {
  local value
  case "$1" in
  files | directories)
    compopt -o filenames 2>/dev/null
    local how=-f
    [[ $1 == directories ]] && how=-d
    while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen "$how" -- "$cur")
    ;;
  ?*)
    while IFS=$'\\t' read -r value _; do _ark_node_add "$value"; done \\
      < <("$program" __complete "$1" \${data:+--data "$data"} 2>/dev/null </dev/null)
    ;;
  esac
}

_ark_node() {
  # Of the line itself, since bash parts words at colons, which names of models have.
  local line=\${COMP_LINE:0:COMP_POINT} cur program data='' members='' flags='' valued='' places=() words=()
  cur=\${line##*[[:space:]]}
  read -ra words <<<"\${line%"$cur"}"
  program=\${words[0]-ark-node} COMPREPLY=()
  local one=\${words[1]-} two=\${words[2]-} from=1 kind='' place=0 skip='' word
  if [[ -z $one && $cur != -* ]]; then
    _ark_node_add ${firstWords.map(({ word }) => word).join(" ")}
  elif [[ -z $two && $cur != -* ]] && { [[ $one == help ]] || _ark_node_group "$one"; }; then
    [[ $one == help ]] && members='${firstWords.map(({ word }) => word).join(" ")}'
    _ark_node_add $members
  else
    if [[ -z $one || $one == -* ]]; then
      _ark_node_spec serve
    elif [[ -n $two ]] && _ark_node_spec "$one $two"; then
      from=3
    elif _ark_node_spec "$one"; then
      from=2
    else
      return 0
    fi
    for word in "\${words[@]:from}"; do
      if [[ -n $skip ]]; then
        [[ $skip == --data ]] && data=\${word/#\\~/$HOME}
        skip=''
      elif [[ " $valued " == *" $word="* ]]; then
        skip=$word
      elif [[ $word == --data=* ]]; then
        data=\${word#*=} data=\${data/#\\~/$HOME}
      elif [[ $word != -* ]]; then
        place=$((place + 1))
      fi
    done
    if [[ -z $skip && $cur == --*=* ]]; then
      skip=\${cur%%=*} cur=\${cur#*=}
    fi
    if [[ -n $skip ]]; then
      [[ " $valued " =~ " $skip="([a-z]*)" " ]] && kind=\${BASH_REMATCH[1]}
      _ark_node_values "$kind"
    elif [[ $cur == -* ]]; then
      _ark_node_add $flags
    else
      _ark_node_values "\${places[place]-}"
    fi
  fi
  # What bash takes for a word of its own ends at a colon: only the rest is replaced.
  local break index
  for break in : =; do
    if [[ $COMP_WORDBREAKS == *"$break"* && $cur == *"$break"* ]]; then
      for index in "\${!COMPREPLY[@]}"; do COMPREPLY[index]=\${COMPREPLY[index]#"\${cur%"\${cur##*"$break"}"}"}; done
    fi
  done
  return 0
}

complete -F _ark_node ark-node
`;
}

function specCase({ name, group, flags, places }: CommandCompletion): string {
  const all = flags.flatMap(({ name, short }) => [name, ...short === null ? [] : [short]]);
  const valued = flags.filter(({ valued }) => valued)
    .flatMap(({ name, short, kind }) =>
      [name, ...short === null ? [] : [short]].map((flag) => `${flag}=${kind ?? ""}`)
    );
  return `  '${name}'${group === null ? "" : ` | ${group}`}) flags='${all.join(" ")}' valued='${
    valued.join(" ")
  }' places=(${places.map((kind) => kind ?? "''").join(" ")}) ;;`;
}
