// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"fmt"
	"math"
	"slices"

	"github.com/hashicorp/go-plugin/printable"
)

// check applies the bounds within a request, for the side that sends it and
// for the side that gets it.
func (r *Request) check() *Refusal {
	if len(r.Versions) > maxVersions {
		return tooLarge("versions", len(r.Versions), maxVersions)
	}
	if len(r.Protocols) > maxNames {
		return tooLarge("protocols", len(r.Protocols), maxNames)
	}
	if len(r.Features) > maxNames {
		return tooLarge("features", len(r.Features), maxNames)
	}
	for _, v := range r.Versions {
		if v < 0 || v > math.MaxInt32 {
			return malformed("the version %d is outside 0 to %d", v, math.MaxInt32)
		}
	}
	if r.MaxMessage < 0 {
		return malformed("maxMessage is %d", r.MaxMessage)
	}
	shown := slices.Concat([]string{r.Cookie.Key, r.Host}, r.Protocols, r.Features)
	// The cookie's value is compared and never shown, so it may be anything.
	for _, text := range append(shown, r.Cookie.Value) {
		if len(text) > maxText {
			return tooLarge("bytes of one text", len(text), maxText)
		}
	}
	for _, text := range shown {
		if !canBeShown(text) {
			return malformed("the text %q holds characters that cannot be shown", clip(text))
		}
	}
	return nil
}

// check refuses what a host could not use or show. The line's own bound is the
// bound on the number of kinds and methods.
func (a *Answer) check() error {
	switch {
	case a.Protocol == "":
		return fmt.Errorf("the answer names no protocol")
	case a.Version < 0 || a.Version > math.MaxInt32:
		return fmt.Errorf("the version %d is outside 0 to %d", a.Version, math.MaxInt32)
	case len(a.Features) > maxNames:
		return tooLarge("features", len(a.Features), maxNames)
	case a.MaxMessage < 0:
		return fmt.Errorf("maxMessage is %d", a.MaxMessage)
	}
	texts := slices.Concat([]string{a.Protocol, a.Name, a.Instance}, a.Features)
	if b := a.Build; b != nil {
		texts = append(texts, b.Go, b.Module, b.Version, b.Revision, b.Fork)
	}
	for _, k := range a.Kinds {
		texts = append(texts, k.Name)
		for _, m := range k.Methods {
			texts = append(texts, m.Name, m.Args, m.Reply)
		}
	}
	for _, text := range texts {
		if len(text) > maxText || !canBeShown(text) {
			return fmt.Errorf("the text %q is longer than %d bytes or cannot be shown", clip(text), maxText)
		}
	}
	return nil
}

// clean makes a refusal safe to show: it comes from a peer that may be
// anything, and ends up on a terminal.
func (r *Refusal) clean() {
	r.Code, r.Message = showable(r.Code), showable(r.Message)
	r.Versions = r.Versions[:min(len(r.Versions), maxVersions)]
	r.Protocols = r.Protocols[:min(len(r.Protocols), maxNames)]
	for i, p := range r.Protocols {
		r.Protocols[i] = showable(p)
	}
}

// showable makes a text of a peer fit for a log and bounds it.
func showable(text string) string { return printable.Clip(printable.Line(text), maxText) }

func canBeShown(text string) bool { return printable.Line(text) == text }

func clip(text string) string {
	if len(text) <= quoted {
		return text
	}
	return text[:quoted] + "…"
}
