# bash completion for acre.

# The names of the library's options but the one that acre run sets itself.
_acre_options() {
  acre options --json 2>/dev/null |
    awk -F '"' '$2 == "name" && $4 != "summary_path" { print $4 "=" }'
}

# The values of an option that takes one of a few.
_acre_values() {
  acre options --json 2>/dev/null | awk -F '"' -v name="$1" '
    $2 == "name" { is_asked = $4 == name }
    is_asked && $2 == "kind" && $4 == "boolean" { print "0\n1" }
    in_choices && /]/ { in_choices = 0 }
    is_asked && in_choices { print $2 }
    $2 == "choices" { in_choices = 1 }'
}

_acre_processes() {
  compgen -W self -- "$1"
  (cd /proc && compgen -G "$1*" | grep -x '[0-9]*')
}

_acre() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
  local index
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "run bench machine maps options pages --help --version" -- "$word"))
    return
  fi

  # Where the command begins, its own completion takes over.
  if [[ $verb == run || $verb == bench ]]; then
    for ((index = 2; index < COMP_CWORD; ++index)); do
      case ${COMP_WORDS[index]} in
        --option | --json | --stats-every | --rows | --allocators | --reps)
          # bash may have split "--option=NAME=VALUE" into five words.
          ((++index))
          [[ ${COMP_WORDS[index]} == = ]] && ((++index))
          [[ ${COMP_WORDS[index + 1]} == = ]] && ((index += 2))
          ;;
        --)
          declare -F _command_offset >/dev/null && _command_offset $((index + 1))
          return
          ;;
        -*) ;;
        *)
          declare -F _command_offset >/dev/null && _command_offset $index
          return
          ;;
      esac
    done
  fi

  # The same words again; the one at the cursor is "=" when nothing is behind that.
  local IFS=$' \t\n'
  local line="${COMP_WORDS[*]:0:COMP_CWORD+1}"
  local value=' --option (= )?([^ =]+) =( ([^ ]*))?$' name=' --option (= ?)?([^ =]*)$'
  if [[ $line =~ $value ]]; then
    COMPREPLY=($(compgen -W "$(_acre_values "${BASH_REMATCH[2]}")" -- "${BASH_REMATCH[4]}"))
    return
  fi
  if [[ $line =~ $name ]]; then
    COMPREPLY=($(compgen -W "$(_acre_options)" -- "${BASH_REMATCH[2]}"))
    compopt -o nospace
    return
  fi

  case $before in
    --json | --svg | --html | --png | --diff)
      COMPREPLY=($(compgen -f -- "$word"))
      compopt -o filenames
      return
      ;;
    --proc)
      COMPREPLY=($(compgen -d -- "$word"))
      compopt -o filenames
      return
      ;;
    --stats-every | --watch | --working-set)
      COMPREPLY=($(compgen -W "500ms 1s 2s 10s 1m" -- "$word"))
      return
      ;;
    --rows | --allocators | --reps) return ;;
  esac

  case $verb in
    run)
      COMPREPLY=($(compgen -W "--option --json --stats-every --no-follow --quiet --help --" \
        -- "$word"))
      [[ $word == -* ]] || COMPREPLY+=($(compgen -c -- "$word"))
      ;;
    bench)
      COMPREPLY=($(compgen -W "--rows --allocators --reps --json --quick --help --" -- "$word"))
      ;;
    pages)
      if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "--working-set --png --svg --json --help" -- "$word"))
      elif [[ $before =~ ^([0-9]+|self)$ ]]; then
        COMPREPLY=($(compgen -W "anonymous files heap libraries stack" -- "$word"))
      else
        COMPREPLY=($(_acre_processes "$word"))
      fi
      ;;
    maps)
      if [[ $before == --sort ]]; then
        COMPREPLY=($(compgen -W "address size rss pss swap dirty" -- "$word"))
      elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "--all --sort --diff --watch --html --json --proc --help" \
          -- "$word"))
      else
        COMPREPLY=($(_acre_processes "$word") $(compgen -f -X '!*.json' -- "$word"))
      fi
      ;;
    machine)
      COMPREPLY=($(compgen -W "--json --svg --html --quick --describe --help" -- "$word"))
      ;;
    options) COMPREPLY=($(compgen -W "--json --help" -- "$word")) ;;
  esac
}

complete -F _acre acre
