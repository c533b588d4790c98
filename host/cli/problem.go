// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin/printable"
)

// maxProblem is how much of a problem is read, in bytes.
const maxProblem = 1 << 20

// refused reads a problem as RFC 9457 has it.
func refused(answer *http.Response) error {
	var p struct {
		Type, Title, Detail, Source string
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Title == "" {
		return failf(exitUnreachable, "the server answered %s, and not as a daemon does", printable.Clip(answer.Status, printable.MaxText))
	}
	code := exitFailed
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		code = exitUsage
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		code = exitUnreachable
	case http.StatusInternalServerError:
		if p.Source == "network" { // lost or not answered, and may have run
			code = exitUnreachable
		}
	}
	if p.Source == "plugin" || strings.HasPrefix(p.Type, "urn:reattach:") { // the detail says all that the title does
		return &failure{code, errors.New(cmp.Or(p.Detail, p.Title))}
	}
	return failf(code, "%s: %s", lowerFirst(p.Title), p.Detail)
}

// lowerFirst makes a title the beginning of an error.
func lowerFirst(title string) string {
	first, size := utf8.DecodeRuneInString(title)
	return string(unicode.ToLower(first)) + title[size:]
}
