package delivery

// Warn tells what an operator should look at before requests are refused for it, in words, or that it has passed.
func (a *Alerts) Warn(message string) { a.tell("server.warning", alertData{Reason: message}) }
