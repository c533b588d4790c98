// SPDX-License-Identifier: MPL-2.0

package refused

type Rule struct{ OnDrop func(key string) }

// One type is refused once, however many methods have it.
type Rules interface {
	Set(rule Rule) error // want `parameter rule: Rule\.OnDrop: a function cannot leave its process`
	All() (map[string]Rule, error)
	Replace(rules []*Rule) error
}
