package hook

import (
	"errors"
	"fmt"
	"net/http"
)

// Limit names a limit that was met, or another reason to refuse something, so that an operator can see which it was and
// how often. The numbers behind them are the constants of limits.go.
type Limit uint8

// The limits, in the order in which people read them. The zero Limit is none.
const (
	_ Limit = iota

	// Requests to capture URLs.
	LimitMethod
	LimitProtocol
	LimitBodyCut
	LimitBodyTime
	LimitInPage
	LimitUnknownURL
	LimitBodySize
	LimitTarget
	LimitRate
	LimitHeaderLines
	LimitTrailerLines
	LimitPaused
	LimitFull
	LimitBytesInFlight
	LimitBacklog
	LimitDisk
	LimitUnwritable
	LimitLog
	LimitDraining
	LimitHops
	LimitDelays

	// Connections.
	LimitConns
	LimitConnsAddr
	LimitTurnedAway
	LimitHeadSize
	LimitHeadTime
	LimitHeadsInFlight

	// Live views.
	LimitSockets
	LimitSocketsSession
	LimitSocketsAddr
	LimitSlowViewer
	LimitChattyViewer

	// Deliveries.
	LimitOurs

	// Pages and the API.
	LimitLogins
	LimitWrongTokens
	LimitTries
	LimitFormSize
	LimitJSONSize
	LimitSelected
	LimitCaptureURLs
	LimitSubscriptions
	LimitReplays
	LimitTokens
	LimitUsers
	LimitNoLogin
	LimitNotAllowed
	LimitUnknownHost
	LimitFault
	LimitNotNow

	Limits // how many there are, with the zero Limit
)

// Met says what a limit is to people: where it is met, the status that answers, 0 for none, and why.
type Met struct {
	Where  string
	Status int
	Why    string
}

const (
	captures = "Requests to capture URLs"
	conns    = "Connections"
	views    = "Live views"
	pages    = "Pages and API"
	sending  = "Deliveries"
)

var met = [Limits]Met{
	LimitMethod:        {captures, http.StatusBadRequest, "method too long"},
	LimitProtocol:      {captures, http.StatusBadRequest, "not HTTP/1.1, or nothing says where the body ends"},
	LimitBodyCut:       {captures, http.StatusBadRequest, "the body did not arrive whole"},
	LimitBodyTime:      {captures, http.StatusBadRequest, "the body came too slowly"},
	LimitInPage:        {captures, http.StatusForbidden, "a page of the dashboard tried to run an answer"},
	LimitUnknownURL:    {captures, http.StatusNotFound, "no capture URL at the address"},
	LimitBodySize:      {captures, http.StatusRequestEntityTooLarge, "body over the limit: noted without it"},
	LimitTarget:        {captures, http.StatusRequestURITooLong, "path and query too long"},
	LimitRate:          {captures, http.StatusTooManyRequests, "over the rate of the capture URL"},
	LimitHeaderLines:   {captures, http.StatusRequestHeaderFieldsTooLarge, "too many header lines"},
	LimitTrailerLines:  {captures, http.StatusRequestHeaderFieldsTooLarge, "too many trailer lines"},
	LimitPaused:        {captures, http.StatusServiceUnavailable, "the capture URL is paused"},
	LimitFull:          {captures, http.StatusServiceUnavailable, "the capture URL holds twice the bytes it may keep, for deliveries that wait"},
	LimitBytesInFlight: {captures, http.StatusServiceUnavailable, "too many bytes of bodies in flight"},
	LimitBacklog:       {captures, http.StatusServiceUnavailable, "too many requests wait for the disk"},
	LimitDisk:          {captures, http.StatusServiceUnavailable, "free space below the reserve"},
	LimitUnwritable:    {captures, http.StatusServiceUnavailable, "the database cannot be written: the log has it"},
	LimitLog:           {captures, http.StatusServiceUnavailable, "the write-ahead log is over its limit: another process reads the database for long"},
	LimitDraining:      {captures, http.StatusServiceUnavailable, "the server is stopping"},
	LimitHops:          {captures, http.StatusLoopDetected, "passed on in a circle"},
	LimitDelays:        {captures, 0, "stored, and answered without the delay: too many answers wait"},

	LimitHeadSize:      {conns, http.StatusRequestHeaderFieldsTooLarge, "request line and headers too long"},
	LimitHeadTime:      {conns, 0, "closed: request line and headers came too slowly"},
	LimitHeadsInFlight: {conns, http.StatusServiceUnavailable, "too many bytes of headers in flight"},

	LimitConns:      {conns, http.StatusServiceUnavailable, "too many are open"},
	LimitConnsAddr:  {conns, http.StatusServiceUnavailable, "too many are open from one address"},
	LimitTurnedAway: {conns, 0, "of those, closed without an answer: there were too many to be told"},

	LimitSockets:        {views, http.StatusServiceUnavailable, "too many are open"},
	LimitSocketsSession: {views, http.StatusTooManyRequests, "too many of one session are open"},
	LimitSocketsAddr:    {views, http.StatusTooManyRequests, "too many are open from one address"},
	LimitSlowViewer:     {views, 0, "closed: the page did not read, and comes back"},
	LimitChattyViewer:   {views, 0, "closed: the page said too much"},

	LimitOurs: {sending, 0, "put off: a file that could not be read, or no descriptor, port or memory; the log has it"},

	LimitLogins:        {pages, http.StatusTooManyRequests, "too many wrong passwords"},
	LimitWrongTokens:   {pages, http.StatusTooManyRequests, "too many wrong tokens"},
	LimitTries:         {pages, http.StatusTooManyRequests, "too many tests of targets and dry runs at a time"},
	LimitFormSize:      {pages, http.StatusRequestEntityTooLarge, "form too large"},
	LimitJSONSize:      {pages, http.StatusRequestEntityTooLarge, "JSON document too large"},
	LimitSelected:      {pages, http.StatusUnprocessableEntity, "too much selected to be resent at once"},
	LimitCaptureURLs:   {pages, http.StatusConflict, "too many capture URLs of a user"},
	LimitSubscriptions: {pages, http.StatusConflict, "too many subscriptions, or too large ones"},
	LimitReplays:       {pages, http.StatusConflict, "too many replays into a subscription are running"},
	LimitTokens:        {pages, http.StatusConflict, "too many API tokens of a user"},
	LimitUsers:         {pages, http.StatusConflict, "too many users"},
	LimitNoLogin:       {pages, http.StatusUnauthorized, "no valid login or token"},
	LimitNotAllowed:    {pages, http.StatusForbidden, "cross-site, or not allowed"},
	LimitUnknownHost:   {pages, http.StatusMisdirectedRequest, "unknown host name"},
	LimitFault:         {pages, http.StatusInternalServerError, "a fault of ours: the log has it"},
	LimitNotNow:        {pages, http.StatusServiceUnavailable, "cannot be done now: the log has it"},
}

// Met returns what people read of the limit.
func (l Limit) Met() Met { return met[l] }

// Status returns the status that tells of the limit, 0 when it has no answer.
func (l Limit) Status() int { return met[l].Status }

// Errorf is Errorf for an error that tells of the limit.
func (l Limit) Errorf(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Limit: l, Message: fmt.Sprintf(format, args...)}
}

// LimitOf returns the limit that err tells of, zero when it tells of none.
func LimitOf(err error) Limit {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Limit
	}
	return 0
}
