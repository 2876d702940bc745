# Sourced: gives the PATH of a machine that has none of the optional programs, uninstalling nothing.

OPTIONAL_PROGRAMS="dot neato fdp sfdp twopi circo chromium chromium-browser chromedriver \
google-chrome google-chrome-stable firefox geckodriver"

# Fills the folder $1 with links to every program on PATH except the optional ones.
link_plain_programs() {
    local folder program name
    mkdir -p "$1"
    while IFS= read -r -d : folder; do
        # pyenv's shims look themselves up on PATH, so a link to one would call itself for ever;
        # whoever needs Python names its file: PYTHON.
        case "$folder" in '' | */shims) continue ;; esac
        for program in "$folder"/*; do
            name=${program##*/}
            case " $OPTIONAL_PROGRAMS " in *" $name "*) continue ;; esac
            # The first on PATH wins, as in PATH itself.
            [ ! -x "$program" ] || [ -e "$1/$name" ] || ln -s "$program" "$1/$name"
        done
    done <<<"$PATH:"
}
