package hook

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestReadmeTellsTheLimits holds README's table to the constants.
func TestReadmeTellsTheLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	kib, mib := func(n int) string { return strconv.Itoa(n>>10) + " KiB" }, func(n int) string { return strconv.Itoa(n>>20) + " MiB" }
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + " s" }
	grouped := func(n int) string { return strconv.Itoa(n/1000) + "," + strconv.Itoa(1000 + n%1000)[1:] }
	for _, row := range []string{
		"| " + kib(MaxHeaderBytes) + ", " + strconv.Itoa(MaxHeaderLines) + " lines, " + strconv.Itoa(MaxTrailerLines) + " trailer lines |",
		"| " + kib(MaxTargetLen) + "; " + strconv.Itoa(MaxMethodLen) + " characters |",
		"| " + mib(DefaultMaxBody) + " (`HOOKKEEPER_MAX_BODY`, up to " + mib(CeilingMaxBody) + ") |",
		"| " + seconds(HeaderTimeout) + "; " + seconds(BodyTimeout) + " and its size at " + kib(BodyRate) + "/s |",
		"| request lines and headers in flight, without the first " + kib(SmallHead) + " of each | " + mib(HeadsInFlight) + ", of which one address takes half |",
		"| " + mib(BytesInFlight) + ", of which one capture URL or one address takes half, and " + mib(SmallReserve) + " are kept for bodies up to " + kib(SmallBody) + " |",
		"what its owner sets, " + seconds(RateBurst) + " of it at once |",
		"| " + grouped(DefaultKeepCount) + " requests, " + strconv.Itoa(DefaultKeepDays) + " days, " + strconv.Itoa(DefaultKeepBytes>>30) + " GiB |",
		"| hops through Hookkeepers | " + strconv.Itoa(MaxHops) + " |",
		"| " + grouped(MaxDelaysOfURL) + "; " + grouped(MaxDelays) + " |",
		"| " + grouped(MaxConns) + "; " + grouped(DefaultConnsPerIP) + " (`HOOKKEEPER_MAX_CONNS_PER_ADDR`) | 503 with Retry-After for " + strconv.Itoa(MaxTurnedAway) + " at a time; the others are closed |",
		"| " + grouped(MaxSockets) + "; " + strconv.Itoa(MaxSocketsSession) + "; " + grouped(DefaultSocksPerIP) + " (`HOOKKEEPER_MAX_SOCKETS_PER_ADDR`) |",
		"| " + strconv.Itoa(LoginFailures) + "; " + strconv.Itoa(LoginFailuresAddr) + "; " + strconv.Itoa(LoginFailuresAddr) + " in " + strconv.Itoa(int(LoginWindow/time.Minute)) + " minutes |",
		"| " + strconv.Itoa(MaxSocketMessage) + " bytes; " + strconv.Itoa(MaxSocketMessages) + " in " + seconds(SocketWindow) + " |",
		"| " + kib(MaxResponseBody) + ", " + strconv.Itoa(MaxResponseHeaders) + " headers, " + seconds(MaxResponseDelay) + " of delay |",
		"| requests waiting for the disk | " + grouped(MaxQueuedCapture) + " |",
		"| " + grouped(MaxUsers) + "; " + strconv.Itoa(MinPasswordLen) + " characters to " + grouped(MaxPasswordLen) + " bytes |",
		"| " + strconv.Itoa(MaxConditions) + ", " + strconv.Itoa(MaxConditionField) + " bytes, " + grouped(MaxConditionValue) + " bytes; " + kib(MaxJQ) + ", " + mib(MaxJQBody) + ", " + strconv.FormatInt(JQTime.Milliseconds(), 10) + " ms" + " |",
		"| " + kib(MaxTargetURL) + "; " + strconv.Itoa(MaxTargetHeaders) + " |",
		"| " + strconv.Itoa(MaxTries) + "; 1; " + grouped(MaxDryRun) + " requests, " + seconds(DryRunTime) + " |",
		"| body edited in the dashboard | " + mib(MaxEditedBody) + " |",
		"| " + mib(MaxFormBytes) + "; " + mib(MaxJSONBytes) + " |",
		"| " + kib(MaxResponseBody) + ", " + strconv.Itoa(MaxResponseHeaders) + " headers; " + mib(MaxResponses) + " with headers |",
		"| " + grouped(MaxCaptureURLs) + " and " + strconv.Itoa(MaxTokens) + "; " + strconv.Itoa(MaxSubscriptions) + "; " + mib(MaxSubscriptionBytes) + " of a user's |",
		"| " + strconv.Itoa(MaxRulesKept) + " and " + kib(MaxRuleBytesKept) + " of words |",
		"| " + mib(FilterWork) + " before the sender is answered |",
		"| " + seconds(MaxDeliveryTimeout) + ", " + kib(MaxTargetAnswerHeaders) + " of headers, " + kib(MaxResponseKept) + " of the answer kept |",
		"| " + strconv.Itoa(MaxAttempts) + "; " + grouped(MaxSending) + " with " + mib(MaxSendingBytes) + " of bodies, of which a user takes no more than is left free |",
		"| " + grouped(MaxPageSegments) + " marked stretches, " + kib(MaxPageText) + " |",
		"| captured bodies, all attempts of a delivery and pages of a list, over " + kib(SmallBody) + ", that answers are made of at a time | " + mib(MaxBodiesRead) + ", of which one user takes half; a larger one counts as half | others wait, for " + seconds(BodiesReadWait) + ",",
		"| " + seconds(BodyTimeout) + " and its size at " + kib(BodyRate) + "/s, and never " + seconds(ReadPause) + " in which nothing more can be sent |",
		strconv.Itoa(DescriptorsKept) + " of them are kept back | fewer connections and live views are taken; below " + grouped(MinDescriptors) + " it",
		"| " + strconv.Itoa(MaxSelected) + ", in " + grouped(MaxResent) + " deliveries |",
		"| replays into one subscription that run at a time | " + strconv.Itoa(MaxReplays) + " | 409 |",
		"| replays into one subscription that are over and kept | " + strconv.Itoa(MaxReplaysKept) + " |",
		"| " + strconv.Itoa(MaxAnswersShown) + "; " + kib(MaxAnswerShown) + " of headers and " + kib(MaxAnswerShown) + " of the body |",
	} {
		if !strings.Contains(string(text), row) {
			t.Errorf("README does not tell %q", row)
		}
	}
}
