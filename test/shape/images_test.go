// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"regexp"
	"strings"
	"testing"
)

// TestImages holds what every image promises: a static binary alone, or the one host that
// loads shared objects, without root.
func TestImages(t *testing.T) {
	cases := map[string][]string{
		"Dockerfile.host":   {`ENTRYPOINT ["/basic"]`, `CMD ["serve"]`},
		"Dockerfile.expose": {`ENTRYPOINT ["/basic", "expose", "--listen", "0.0.0.0:7000"]`},
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
