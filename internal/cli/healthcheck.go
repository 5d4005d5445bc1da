package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/config"
)

// healthcheckCmd is for containers, whose image has neither a shell nor curl.
type healthcheckCmd struct {
	Addr string `name:"addr" unset:"localhost:8080" placeholder:"HOST:PORT" help:"Where the server listens."`
}

// healthTimeout is of the whole check; container engines allow some seconds themselves.
const healthTimeout = 5 * time.Second

// Run succeeds when the server could store a request now.
func (c *healthcheckCmd) Run(env *environment) error {
	conf, err := config.Load(config.Settings{Addr: c.Addr}, env.environ)
	if err != nil {
		return err
	}
	url := config.LocalURL(conf.Addr) + "/readyz"
	request, err := http.NewRequestWithContext(env.ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A client of its own: no proxy from the environment stands between a server and its health.
	client := &http.Client{
		Timeout:       healthTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no answer from the server; is it running, and is HOOKKEEPER_ADDR the same for both? %w", err)
	}
	defer response.Body.Close()
	const enough = 1 << 10
	text, _ := io.ReadAll(io.LimitReader(response.Body, enough)) // only for the message
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %q", url, response.Status, strings.TrimSpace(string(text)))
	}
	fmt.Fprintln(env.stdout, "ready")
	return nil
}
