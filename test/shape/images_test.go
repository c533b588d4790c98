// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImages holds what every image promises: a static binary alone, or the one host that
// loads shared objects, without root.
func TestImages(t *testing.T) {
	cases := map[string][]string{
		"Dockerfile.host":   {`ENTRYPOINT ["/basic"]`, `CMD ["serve"]`},
		"Dockerfile.expose": {`ENTRYPOINT ["/basic", "expose", "--listen", "0.0.0.0:7000"]`, "BASIC_COOKIE=${COOKIE}"},
		"Dockerfile.so": {
			`ENTRYPOINT ["/basic"]`, `CMD ["serve"]`, "COPY --from=build /out/basic-so /basic", "COPY --from=build /libraries /",
		},
		"Dockerfile.plugin": {
			`ENTRYPOINT ["/plugin"]`, "EXPOSE 7000",
			"PLUGIN_HOST=true", "PLUGIN_MIN_PORT=7000", "PLUGIN_MAX_PORT=7000",
		},
	}
	user := regexp.MustCompile(`(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`)
	for name, wants := range cases {
		stages := strings.Split(read(t, name), "\nFROM ")
		last := stages[len(stages)-1]
		base, builds := "scratch\n", "CGO_ENABLED=0 go build"
		switch name {
		case "Dockerfile.expose":
			base = "${PLUGIN_IMAGE}\n" // which is somebody else's
		case "Dockerfile.so":
			base, builds = "scratch AS host\n", "scripts/build-so.sh" // as the loader is glibc's
		}
		if len(stages) < 2 || !strings.HasPrefix(last, base) {
			t.Errorf("%s does not end in a stage from %s", name, base)
		}
		if !user.MatchString(last) {
			t.Errorf("%s does not name a user other than root, by number", name)
		}
		if !strings.Contains(stages[1], builds) {
			t.Errorf("%s does not build by %s", name, builds)
		}
		for _, want := range wants {
			if !strings.Contains(last, want) {
				t.Errorf("%s: the last stage lacks %q", name, want)
			}
		}
	}
}

// TestImagesCopy holds that what a Dockerfile copies or runs is in the directory that it is
// built from, as none of them may have been built where this runs.
func TestImagesCopy(t *testing.T) {
	ignored := strings.Fields(read(t, ".dockerignore"))
	for name, context := range map[string]string{
		"Dockerfile.host": "", "Dockerfile.plugin": "", "Dockerfile.expose": "", "Dockerfile.so": "",
		"examples/python/Dockerfile": "examples/python/",
	} {
		d := dockerfile{t: t, name: name, context: context, stages: map[string]bool{}}
		if context == "" {
			d.ignored = ignored
		}
		for _, line := range instructions(read(t, name)) {
			d.check(line)
		}
	}
}

// instructions gives the lines of a Dockerfile without comments, with those joined that
// go on in the next.
func instructions(text string) []string {
	var whole []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			whole = append(whole, line)
		}
	}
	return strings.Split(strings.ReplaceAll(strings.Join(whole, "\n"), "\\\n", " "), "\n")
}

// dockerfile is what is known of one so far.
type dockerfile struct {
	t             *testing.T
	name, context string
	ignored       []string // directories that are not sent to the builder
	stages        map[string]bool
	copied        []string // files and directories, from the context
}

func (d *dockerfile) check(line string) {
	words := strings.Fields(line)
	switch words[0] {
	case "FROM":
		d.copied = nil
		if len(words) == 4 {
			d.stages[words[3]] = true
		}
	case "COPY":
		d.copies(words[1 : len(words)-1])
	case "RUN":
		d.runs(line, words)
	}
}

func (d *dockerfile) copies(sources []string) {
	for i, source := range sources {
		if stage, is := strings.CutPrefix(source, "--from="); is && i == 0 {
			if !d.stages[stage] {
				d.t.Errorf("%s copies from stage %s, which there is not before", d.name, stage)
			}
			return
		}
		if first, _, _ := strings.Cut(source, "/"); slices.Contains(d.ignored, first) {
			d.t.Errorf("%s copies %s, which .dockerignore leaves out", d.name, source)
		}
		if _, err := os.Stat(filepath.Join(root, d.context, source)); err != nil {
			d.t.Errorf("%s copies what is not there: %v", d.name, err)
		}
		d.copied = append(d.copied, source)
	}
}

// localModule is a module that a go.mod has in a directory.
var localModule = regexp.MustCompile(`(?m)=> \./(\S+)`)

func (d *dockerfile) runs(line string, words []string) {
	for _, word := range words {
		if strings.HasPrefix(word, "scripts/") && !slices.Contains(d.copied, word) {
			if info, err := os.Stat(filepath.Join(root, word)); !slices.Contains(d.copied, ".") || err != nil || info.Mode()&0o111 == 0 {
				d.t.Errorf("%s runs %s, which is not copied, not there or no executable", d.name, word)
			}
		}
	}
	if !strings.Contains(line, "go mod download") {
		return
	}
	for _, module := range localModule.FindAllStringSubmatch(read(d.t, "go.mod"), -1) {
		if file := module[1] + "/go.mod"; !slices.Contains(d.copied, file) {
			d.t.Errorf("%s downloads modules without %s, which go.mod has in a directory", d.name, file)
		}
	}
}
