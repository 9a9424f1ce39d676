# Makes the inputs, reference numbers and session record that test_states_reference.py reads.
# Run from this folder: Rscript generate_states.R
suppressPackageStartupMessages(library(survival))
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n", na = "")
}
# weights of subjects that are neither whole nor balanced, the same on every machine
weight <- function(id) 0.4 + ((id * 7) %% 11) / 5

# mgus2: progression (pcm) and death; a progression in the month of death is dated a tenth of a month before it
kept <- mgus2[mgus2$id %% 3 == 0, ]
kept$ptime <- with(kept, ifelse(ptime == futime & pstat == 1, ptime - 0.1, ptime))
mgus <- tmerge(kept, kept, id = id, death = event(futime, death), pcm = event(ptime, pstat))
mgus <- tmerge(mgus, mgus, id = id, enum = cumtdc(tstart))
mgus$to <- factor(with(mgus, ifelse(death == 1, 2, pcm)), 0:2, c("censor", "pcm", "death"))
check <- survcheck(Surv(tstart, tstop, to) ~ 1, mgus, id = id)
mgus_data <- data.frame(id = mgus$id, sex = as.character(mgus$sex), start = mgus$tstart, stop = mgus$tstop,
                        from = as.character(check$istate), to = as.character(mgus$to))
mgus_data$from[mgus_data$from == "(s0)"] <- "mgus"
mgus_data$age_start <- mgus$age + mgus_data$start / 12
mgus_data$age_stop <- mgus$age + mgus_data$stop / 12
mgus_data$w <- weight(mgus_data$id)

# pbcseq: bilirubin at visits as states that come and go, then death; months, so that times tie
levels_of <- c("low", "middle", "high")
visits <- data.frame(id = pbcseq$id, month = ceiling(pbcseq$day / 30.5), futime = pmax(1, ceiling(pbcseq$futime / 30.5)),
                     died = pbcseq$status == 2, state = as.character(cut(pbcseq$bili, c(0, 1.2, 4, Inf), levels_of)),
                     sex = as.character(pbcseq$sex))
visits <- visits[visits$month < visits$futime & !duplicated(visits[c("id", "month")]), ]
visits$end <- with(visits, ave(month, id, FUN = function(m) c(m[-1], NA)))
visits$following <- with(visits, ave(state, id, FUN = function(s) c(s[-1], NA)))
last <- is.na(visits$end)
visits$end[last] <- visits$futime[last]
visits$following[last] <- ifelse(visits$died[last], "death", "censor")
visits$following[visits$following == visits$state] <- "censor"
pbc_data <- with(visits, data.frame(id, sex, start = month, stop = end, from = state, to = following))
pbc_data$w <- weight(pbc_data$id)

bladder_data <- with(bladder2, data.frame(id, rx, number, size, start, stop, event, enum))
bladder_data$w <- weight(bladder_data$id)
recurrent <- bladder1[bladder1$stop > bladder1$start, ]
recurrent_data <- with(recurrent, data.frame(id, treatment = as.character(treatment), number, start, stop,
                                             event = as.integer(status == 1), enum))
recurrent_data$w <- weight(recurrent_data$id)
colon_data <- na.omit(with(colon[colon$etype == 1, ], data.frame(id, rx = as.character(rx), sex, age, extent, nodes,
                                                                time, status)))
colon_data <- colon_data[colon_data$rx != "Lev" & colon_data$extent %in% 2:4, ]
colon_data$extent <- c("", "muscle", "serosa", "structures")[colon_data$extent]
colon_data$treated <- as.integer(colon_data$rx == "Lev+5FU")
colon_data$rx <- NULL
inputs <- list(mgus = mgus_data, pbcseq = pbc_data, bladder2 = bladder_data, bladder1 = recurrent_data,
               colon = colon_data)
for (name in names(inputs)) write_input(name, inputs[[name]])

rows <- list()
record <- function(scenario, quantity, value, group = "", time = NA, term = "") {
  value <- as.numeric(value)
  if (!length(value)) return(invisible())
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, group, time, term, value)
}

# influence = TRUE: only then does this version count the sampling of the initial distribution in the standard error
occupancy <- function(scenario, data, states, group = "", tau = NULL, keep = 16, weighted = FALSE, ...) {
  data$case <- if (weighted) data$w else 1
  data$to <- factor(data$to, c("censor", states))
  data$from <- factor(data$from, states)
  fit <- survfit(Surv(start, stop, to) ~ 1, data, id = id, istate = from, weights = case, influence = TRUE,
                 conf.type = "log-log", ...)
  shown <- unique(round(seq(1, length(fit$time), length.out = keep)))
  found <- fit$states
  record(scenario, "p0", fit$p0, group, NA, found)
  record(scenario, "sp0", fit$sp0, group, NA, found)
  for (j in seq_along(found)) {
    record(scenario, "pstate", fit$pstate[shown, j], group, fit$time[shown], found[j])
    record(scenario, "std.err", fit$std.err[shown, j], group, fit$time[shown], found[j])
    record(scenario, "lower", fit$lower[shown, j], group, fit$time[shown], found[j])
    record(scenario, "upper", fit$upper[shown, j], group, fit$time[shown], found[j])
    record(scenario, "n.risk", fit$n.risk[shown, j], group, fit$time[shown], found[j])
    record(scenario, "n.event", fit$n.event[shown, j], group, fit$time[shown], found[j])
  }
  if (!is.null(tau)) {
    table <- summary(fit, rmean = tau)$table
    record(scenario, "rmean", table[, "rmean"], group, tau, found)
    record(scenario, "se.rmean", table[, "se(rmean)"], group, tau, found)
  }
}
by_sex <- function(scenario, data, ...)
  for (s in c("F", "M", "f", "m")) if (any(data$sex == s)) occupancy(scenario, data[data$sex == s, ], group = s, ...)

mgus_states <- c("mgus", "pcm", "death")
pbc_states <- c(levels_of, "death")
by_sex("mgus", mgus_data, states = mgus_states, tau = 240)
by_sex("mgus_weighted", mgus_data, states = mgus_states, weighted = TRUE)
by_sex("pbcseq", pbc_data, states = pbc_states, tau = 120)
occupancy("pbcseq_all", pbc_data, pbc_states, tau = 150)
occupancy("pbcseq_weighted", pbc_data, pbc_states, weighted = TRUE)
aged <- transform(mgus_data, start = age_start, stop = age_stop)
occupancy("mgus_age", aged, mgus_states, keep = 25)

# transition probabilities from month 24.5: the whole data with a given origin, and those in the state then alone
after <- 24.5
for (state in levels_of) {
  origin <- as.numeric(pbc_states == state)
  occupancy(paste0("pbcseq_from_", state), pbc_data, pbc_states, start.time = after, p0 = origin, keep = 10)
  here <- with(pbc_data, unique(id[start <= after & stop > after & from == state]))
  occupancy(paste0("pbcseq_landmark_", state), pbc_data[pbc_data$id %in% here & pbc_data$stop > after, ], pbc_states,
            start.time = after, p0 = origin, keep = 10)
}

control <- coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100)
record_cox <- function(scenario, fit) {
  names <- names(coef(fit))
  record(scenario, "coef", coef(fit), "", NA, names)
  record(scenario, "se", sqrt(diag(fit$var)), "", NA, names)
  record(scenario, "naive.se", sqrt(diag(fit$naive.var)), "", NA, names)
}
for (ties in c("efron", "breslow")) {
  fit <- function(formula, ...) coxph(formula, bladder_data, ties = ties, cluster = id, control = control, ...)
  record_cox(paste0("ag_", ties), fit(Surv(start, stop, event) ~ rx + number + size))
  record_cox(paste0("pwp_total_", ties), fit(Surv(start, stop, event) ~ rx + number + size + strata(enum)))
  record_cox(paste0("pwp_gap_", ties), fit(Surv(stop - start, event) ~ rx + number + size + strata(enum)))
}
record_cox("ag_weighted", coxph(Surv(start, stop, event) ~ rx + number + size, bladder_data, weights = w, cluster = id,
                                control = control))
record_cox("ag_bladder1", coxph(Surv(start, stop, event) ~ treatment + number, recurrent_data, cluster = id,
                                control = control))
record_cox("pwp_gap_bladder1", coxph(Surv(stop - start, event) ~ treatment + number + strata(pmin(enum, 4)),
                                     recurrent_data, cluster = id, control = control))

mean_count <- function(scenario, data, group, weighted = FALSE) {
  data$case <- if (weighted) data$w else 1
  fit <- survfit(Surv(start, stop, event) ~ 1, data, id = id, weights = case, robust = TRUE)
  record(scenario, "cumhaz", fit$cumhaz, group, fit$time)
  record(scenario, "std.chaz", fit$std.chaz, group, fit$time)
  record(scenario, "n.risk", fit$n.risk, group, fit$time)
  record(scenario, "n.event", fit$n.event, group, fit$time)
}
for (arm in unique(recurrent_data$treatment)) {
  one <- recurrent_data[recurrent_data$treatment == arm, ]
  mean_count("mcf", one, arm)
  mean_count("mcf_weighted", one, arm, weighted = TRUE)
}

subgroups <- function(scenario, formula, ...) {
  fit <- coxph(formula, colon_data, control = control, ...)
  b <- coef(fit)
  effect <- grep(":treated$", names(b))
  level <- sub("^extent(.*):treated$", "\\1", names(b)[effect])
  record(scenario, "log_hr", b[effect], level)
  record(scenario, "se", sqrt(diag(fit$var))[effect], level)
  contrast <- cbind(-1, diag(length(effect) - 1)) # each effect less the first
  difference <- contrast %*% b[effect]
  record(scenario, "chisq", t(difference) %*% solve(contrast %*% fit$var[effect, effect] %*% t(contrast), difference))
}
subgroups("subgroups", Surv(time, status) ~ extent + treated:extent)
subgroups("subgroups_adjusted", Surv(time, status) ~ extent + treated:extent + age + nodes, robust = TRUE)
overall <- coxph(Surv(time, status) ~ treated + extent, colon_data, control = control)
record("subgroups", "overall", c(coef(overall)["treated"], sqrt(diag(overall$var))[1]), "", NA, c("estimate", "se"))

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
numbers$time <- ifelse(is.na(numbers$time), "", sprintf("%.17g", numbers$time))
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = TRUE, eol = "\n")
writeLines(c(R.version.string, paste("survival", packageVersion("survival"))), "sessionInfo.txt")
files <- c(file.path("inputs", paste0(names(inputs), ".csv")), "numbers.csv")
sums <- sub(" .*$", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
