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
		"| " + mib(BytesInFlight) + ", of which one capture URL or one address takes half, and " + mib(SmallReserve) + " are kept for bodies up to " + kib(SmallBody) + " |",
		"what its owner sets, " + seconds(RateBurst) + " of it at once |",
		"| " + grouped(DefaultKeepCount) + " requests, " + strconv.Itoa(DefaultKeepDays) + " days, " + strconv.Itoa(DefaultKeepBytes>>30) + " GiB |",
		"| hops through Hookkeepers | " + strconv.Itoa(MaxHops) + " |",
		"| " + grouped(MaxConns) + "; " + grouped(DefaultConnsPerIP) + " (`HOOKKEEPER_MAX_CONNS_PER_ADDR`) |",
		"| " + grouped(MaxSockets) + "; " + strconv.Itoa(MaxSocketsSession) + "; " + grouped(DefaultSocksPerIP) + " (`HOOKKEEPER_MAX_SOCKETS_PER_ADDR`) |",
		"| " + strconv.Itoa(LoginFailures) + "; " + strconv.Itoa(LoginFailuresAddr) + " in " + strconv.Itoa(int(LoginWindow/time.Minute)) + " minutes |",
		"| " + mib(MaxFormBytes) + "; " + mib(MaxJSONBytes) + " |",
		"| " + grouped(MaxCaptureURLs) + " and " + strconv.Itoa(MaxTokens) + "; " + strconv.Itoa(MaxSubscriptions) + " |",
		"| " + seconds(MaxDeliveryTimeout) + ", " + kib(MaxTargetAnswerHeaders) + " of headers, " + kib(MaxResponseKept) + " of the answer kept |",
		"| " + strconv.Itoa(MaxAttempts) + "; " + grouped(MaxSending) + " with " + mib(MaxSendingBytes) + " of bodies |",
		"of one user | " + strconv.Itoa(MaxHeavyReads) + "; 1 | after " + seconds(HeavyReadWait) + " 503",
		"bodies above " + kib(LargeRead) + " shown",
		strconv.Itoa(DescriptorsKept) + " of them are kept back | fewer connections and live views are taken; below " + grouped(MinDescriptors) + " it",
		"| " + strconv.Itoa(MaxSelected) + ", in " + grouped(MaxResent) + " deliveries |",
	} {
		if !strings.Contains(string(text), row) {
			t.Errorf("README does not tell %q", row)
		}
	}
}
