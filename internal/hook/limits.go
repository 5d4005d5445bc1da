package hook

import "time"

// Limits of what Hookkeeper takes, in one place. Those that an operator can set are settings (package config) with
// their defaults and bounds here.
const (
	// Requests from senders.
	DefaultMaxBody   = 10 << 20 // bytes of a captured body
	CeilingMaxBody   = 64 << 20 // the most that DefaultMaxBody may be set to
	MaxHeaderBytes   = 64 << 10 // request line and headers, bytes
	MaxHeaderLines   = 200
	MaxTargetLen     = 8 << 10 // path and query, bytes
	MaxMethodLen     = 32
	MaxHops          = 5
	SmallHead        = 4 << 10  // of a request line and headers that do not count as in flight
	HeadsInFlight    = 64 << 20 // request lines and headers that are read or whose requests are not answered yet, bytes
	HeaderTimeout    = 5 * time.Second
	BodyTimeout      = 10 * time.Second // beside the time for the size, see BodyRate
	BodyRate         = 64 << 10         // bytes per second that a sender must reach, and a reader of an answer that is held
	MaxTrailerLines  = 50
	BytesInFlight    = 256 << 20 // bodies being received or waiting for their commit
	SmallBody        = 64 << 10  // a request that has read at most this much
	SmallReserve     = 64 << 20  // of BytesInFlight, kept for small bodies
	MaxQueuedCapture = 4096      // requests waiting for their commit

	// Answers of capture URLs.
	MaxResponseBody    = 256 << 10
	MaxResponses       = 32 << 20 // bytes of all answers of one user, headers included: they are in memory
	MaxResponseHeaders = 50
	MaxResponseDelay   = 25 * time.Second
	MaxDelaysOfURL     = 1000 // answers of one capture URL that wait for their delay; one more is given at once
	MaxDelays          = 5000 // of all: half of MaxConns
	MaxHeaderName      = 100
	MaxHeaderValue     = 4 << 10

	// Capture URLs.
	MaxNameLen       = 200 // characters of a name
	MaxCaptureURLs   = 10_000
	MaxKeepRequests  = 1_000_000_000
	MaxKeepDays      = 36_500
	MinKeepBytes     = 1 << 20
	MaxKeepBytes     = 1 << 50
	DefaultKeepCount = 10_000
	DefaultKeepDays  = 30
	DefaultKeepBytes = 1 << 30
	RefusalPause     = 100 * time.Millisecond // before a 429 of a capture URL's rate
	RateBurst        = 4 * time.Second        // of a capture URL's rate, that may come at once
	WarnLog          = 128 << 20              // bytes of the write-ahead log from which on a warning is given
	MaxLog           = 1 << 30                // and from which on captures are refused

	// Subscriptions and deliveries.
	MaxSubscriptions       = 200      // of one capture URL
	MaxSubscriptionBytes   = 32 << 20 // of all subscriptions of one user, see Subscription.Size: they are in memory
	MaxConditions          = 20       // of a filter
	MaxConditionField      = 200
	MaxConditionValue      = 1 << 10
	MaxRulesKept           = 400                    // rules of a subscription's filters, of now and before, so that requests tell which refused them
	MaxRuleBytesKept       = 256 << 10              // of their words
	FilterWork             = 32 << 20               // bytes that all filters of a capture URL look at in one request before its sender is answered
	MaxJQ                  = 2 << 10                // bytes of a jq program
	MaxJQBody              = 1 << 20                // bytes of a body that one is run on
	JQTime                 = 200 * time.Millisecond // of one program on one body
	MaxTargetURL           = 2 << 10
	MaxTargetHeaders       = 50 // of a subscription
	MinSecretLen           = 16 // characters of a secret that somebody chose
	MaxSecretLen           = 256
	MaxSecrets             = 5 // signing at the same time while they are rotated
	DefaultDeliveryTimeout = 15 * time.Second
	MinDeliveryTimeout     = time.Second
	MaxDeliveryTimeout     = 30 * time.Second
	DefaultMaxAttempts     = 10
	MaxAttempts            = 100
	MaxBackoff             = 7 * 24 * time.Hour
	DefaultConcurrency     = 8
	MaxConcurrency         = 256
	MinRate                = 0.01 // attempts a second; a capture URL's rate has the same bounds
	MaxRate                = 10_000
	MaxResponseKept        = 64 << 10 // bytes of a target's answer that an attempt keeps
	MaxTargetAnswerHeaders = 64 << 10
	MinRetryAfter          = time.Second
	MaxRetryAfter          = time.Hour
	FirstAttemptsKept      = 10 // of a delivery
	LastAttemptsKept       = 40
	MaxSending             = 2048      // attempts under way, of all subscriptions; one user leaves as many free as they have, one capture URL as many of those
	MaxSendingBytes        = 128 << 20 // bodies of those
	MaxAnswersShown        = 20        // of one resend, side by side
	MaxAnswerShown         = 4 << 10   // bytes of the headers, and of the body, of each; of older attempts too
	MaxSelected            = 200       // rows of a list resent at once
	MaxResent              = 1000      // deliveries that makes
	MaxReplayAhead         = 1000      // unfinished deliveries of a subscription beyond which a replay waits
	MaxReplays             = 10        // running at a time into one subscription
	MaxReplaysKept         = 100       // into one subscription that are over
	MaxEditedBody          = 1 << 20   // bytes of a body edited in the dashboard
	MaxTries               = 4         // tests of targets and dry runs at a time, one of each user
	DefaultDryRun          = 200       // stored requests
	MaxDryRun              = 1000
	DryRunTime             = 5 * time.Second

	// Accounts.
	MaxEmailLen    = 254
	MinPasswordLen = 10   // characters
	MaxPasswordLen = 1024 // bytes, refused before hashing
	MaxTokens      = 100  // of one user
	MinAPIToken    = 24   // HOOKKEEPER_API_TOKEN, characters
	MaxAPIToken    = 256
	MaxUsers       = 10_000

	// The dashboard and its API.
	MaxFormBytes       = 1 << 20
	MaxJSONBytes       = 1 << 20
	MaxBodiesRead      = 64 << 20         // bytes of captured bodies, attempts of a delivery and pages of a list, over SmallBody, that answers are made of at a time, of one user half
	BodiesReadWait     = 10 * time.Second // for others of them to be sent
	ReadPause          = 30 * time.Second // in which nothing of an answer can be written; a reader at BodyRate is noticed when a third of 4 MiB is free
	MaxPageItems       = 200
	DefaultPageItems   = 50
	MaxConns           = 10_000    // open connections, sockets not counted
	MaxTurnedAway      = 500       // connections above a limit that are told so at a time; the others are closed
	MaxPageSegments    = 20_000    // stretches of text of strangers on one page, marked ones are elements
	MaxPageText        = 512 << 10 // bytes of it
	MaxSockets         = 10_000
	MinDescriptors     = 4096 // files and connections that the process must be allowed to open
	DescriptorsKept    = 64   // of those, for the database and what else is needed
	MaxSocketsSession  = 20
	DefaultConnsPerIP  = 2000
	DefaultSocksPerIP  = 2000
	MaxSocketMessage   = 512 // bytes of one message from a browser
	MaxSocketMessages  = 60  // in SocketWindow: a page gives a sign of life a minute and an answer to each ping
	SocketWindow       = 10 * time.Second
	LoginFailures      = 10 // wrong passwords of one account from one address in LoginWindow
	LoginFailuresAddr  = 50 // wrong passwords from one address in LoginWindow
	LoginWindow        = 10 * time.Minute
	MaxParallelHashes  = 4
	SetupLinkLifetime  = 24 * time.Hour
	InviteLifetime     = 72 * time.Hour
	DefaultSessionIdle = 24 * time.Hour
	DefaultSessionMax  = 720 * time.Hour
)
