package config

import (
	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
)

// allowTargets reads the private targets that deliveries may reach.
func (p *parser) allowTargets(variable, text string) egress.AllowList {
	allowed, errs := egress.ParseAllowList(text)
	for _, err := range errs {
		p.fail(variable, "%v", err)
	}
	return allowed
}

// target checks the form of a URL that something is sent to.
func (p *parser) target(variable, text string) string {
	if text == "" {
		return ""
	}
	if err := hook.ValidateTargetURL(text); err != nil {
		p.fail(variable, "%v", err)
	}
	return text
}

// key reads the key of secrets from its variable or file; the zero Key when neither is set.
func (p *parser) key(variable, file string) seal.Key {
	text := p.secret(variable, file)
	if text == "" {
		return seal.Key{}
	}
	key, err := seal.ParseKey(string(text))
	if err != nil {
		p.fail(variable, "%v", err)
	}
	return key
}
