# Makes the inputs, reference numbers and session record that test_competing_reference.py reads.
# Run from this folder: Rscript generate_competing.R
suppressPackageStartupMessages({library(survival); library(cmprsk)})
options(digits = 17, scipen = 0, warn = 1)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}
# weights that are neither whole nor balanced, the same on every machine
weight <- function(n) 0.4 + ((seq_len(n) * 7) %% 11) / 5

mgus_data <- na.omit(with(mgus2, data.frame(
  time = ifelse(pstat == 0, futime, ptime), status = ifelse(pstat == 1, 1, 2 * death),
  sex = as.character(sex), age, mspike, entry = age * 12
)))
mgus_data$exit <- mgus_data$entry + mgus_data$time     # age in months: delayed entry
mgus_data$w <- weight(nrow(mgus_data))
mgus_data$era <- c("a", "b", "c")[1 + seq_len(nrow(mgus_data)) %% 3]
mgus_data$practice <- 1 + (seq_len(nrow(mgus_data)) * 13) %% 90
pbc_data <- with(pbc, data.frame(time, status, month = ceiling(time / 91), sex = as.character(sex), age, bili, edema,
                                 stage = ifelse(is.na(stage), 0, stage)))
pbc_data$w <- weight(nrow(pbc_data))
first <- function(frame) {                             # recurrence, or death without it
  relapse <- frame[frame$etype == 1, ]; death <- frame[frame$etype == 2, ]
  death <- death[match(relapse$id, death$id), ]
  data.frame(time = relapse$time, status = ifelse(relapse$status == 1, 1, 2 * death$status),
             rx = as.character(relapse$rx), sex = relapse$sex, age = relapse$age, nodes = relapse$nodes)
}
colon_data <- na.omit(first(colon))
rotterdam_data <- with(rotterdam, data.frame(
  time = ifelse(recur == 1, rtime, dtime), status = ifelse(recur == 1, 1, 2 * death), age, nodes, grade, hormon
))[seq(1, nrow(rotterdam), by = 3), ]
inputs <- list(mgus = mgus_data, pbc = pbc_data, colon = colon_data, rotterdam = rotterdam_data)
for (name in names(inputs)) write_input(name, inputs[[name]])

rows <- list()
record <- function(scenario, quantity, value, group = "", time = NA, term = "") {
  value <- as.numeric(value)
  if (!length(value)) return(invisible())
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, group, time, term, value)
}

# cumulative incidence, infinitesimal jackknife ----------------------------------------------------------------------
# one row in every `step` of the curve, each time of which is an observed one
record_incidence <- function(scenario, fit, step) {
  groups <- rep(sub("^.*=", "", names(fit$strata)), fit$strata)
  kept <- seq(1, length(fit$time), by = step)
  for (cause in 2:length(fit$states)) {
    term <- as.character(fit$states[cause])
    for (q in c("pstate", "std.err", "lower", "upper"))
      record(scenario, q, fit[[q]][kept, cause], groups[kept], fit$time[kept], term)
  }
  record(scenario, "n.risk", fit$n.risk[kept, 1], groups[kept], fit$time[kept])
}
mgus_data$cause <- factor(mgus_data$status, 0:2)
mgus_data$id <- seq_len(nrow(mgus_data))
months <- c(6, 13, 31, 60, 92, 120, 180, 240, 300)
for (type in c("plain", "log", "log-log", "logit"))   # survfit has no arcsine for several states
  record_incidence(paste0("cif_mgus_", type), survfit(Surv(time, cause) ~ sex, mgus_data, conf.type = type), 23)
record_incidence("cif_mgus_weighted", survfit(Surv(time, cause) ~ sex, mgus_data, weights = w, id = id,
                                              conf.type = "log-log"), 11)
record_incidence("cif_mgus_entry", survfit(Surv(entry, exit, cause) ~ sex, mgus_data, id = id, conf.type = "log-log"),
                 17)
record_incidence("cif_mgus_entry_weighted", survfit(Surv(entry, exit, cause) ~ sex, mgus_data, weights = w, id = id,
                                                    conf.type = "log-log"), 17)
pbc_data$cause <- factor(pbc_data$status, 0:2)
record_incidence("cif_pbc_tied", survfit(Surv(month, cause) ~ sex, pbc_data, weights = w, id = seq_len(nrow(pbc_data)),
                                         conf.type = "log-log"), 3)

# Gray's test --------------------------------------------------------------------------------------------------------
record_gray <- function(scenario, ...) {
  tests <- cuminc(...)$Tests
  record(scenario, "chisq", tests[, "stat"], "", NA, rownames(tests))
  record(scenario, "df", tests[, "df"], "", NA, rownames(tests))
}
record_gray("gray_mgus", mgus_data$time, mgus_data$status, mgus_data$sex)
record_gray("gray_mgus_strata_rho1", mgus_data$time, mgus_data$status, mgus_data$sex, mgus_data$era, rho = 1)
record_gray("gray_pbc_tied", pbc_data$month, pbc_data$status, pbc_data$stage)
record_gray("gray_pbc_tied_rho", pbc_data$month, pbc_data$status, pbc_data$stage, rho = 0.5)
record_gray("gray_colon", colon_data$time, colon_data$status, colon_data$rx)
record_gray("gray_colon_strata", colon_data$time, colon_data$status, colon_data$rx, colon_data$sex)
record_gray("gray_rotterdam", rotterdam_data$time, rotterdam_data$status, rotterdam_data$hormon)

# Fine-Gray ----------------------------------------------------------------------------------------------------------
control <- coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100)
pairs_of <- function(names) as.vector(outer(names, names, paste, sep = "|"))
# formula: right-hand side; by: column of both the censoring distribution and the baseline
expand <- function(data, cause, by = NULL, start = NULL, weights = NULL) {
  data$end <- factor(data$status, 0:2)
  data$id <- seq_len(nrow(data))
  left <- if (is.null(start)) "Surv(time, end)" else "Surv(entry, exit, end)"
  right <- if (is.null(by)) "." else paste0(". + strata(", by, ")")
  call <- list(formula = as.formula(paste(left, "~", right)), data = data, etype = as.character(cause))
  if (!is.null(start)) call$id <- quote(id)
  if (!is.null(weights)) call$weights <- as.name(weights)
  do.call(finegray, call)
}
record_finegray <- function(scenario, expanded, right, ties = "efron", cluster = "id", profiles = NULL, times = NULL) {
  expanded$unit <- expanded[[cluster]]
  fit <- coxph(as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", right)), expanded, weights = fgwt, cluster = unit,
               ties = ties, control = control)
  names <- names(coef(fit))
  record(scenario, "coef", coef(fit), "", NA, names)
  record(scenario, "variance", fit$naive.var, "", NA, pairs_of(names))
  record(scenario, "robust", fit$var, "", NA, pairs_of(names))
  record(scenario, "loglik", fit$loglik[2])
  record(scenario, "loglik_null", fit$loglik[1])
  if (!is.null(profiles)) {
    curve <- summary(survfit(fit, newdata = profiles), times = times)
    for (k in seq_len(nrow(profiles)))
      record(scenario, "incidence", 1 - as.matrix(curve$surv)[, k], as.character(k), curve$time)
  }
}
record_crr <- function(scenario, data, right, cause, groups = NULL, profiles = NULL, times = NULL) {
  matrix <- model.matrix(as.formula(paste("~", right)), data)[, -1, drop = FALSE]
  arguments <- list(data$time, data$status, matrix, failcode = cause, gtol = 1e-13, maxiter = 200)
  if (!is.null(groups)) arguments$cengroup <- data[[groups]]
  fit <- do.call(crr, arguments)
  names <- colnames(matrix)
  score <- max(abs(fit$score))
  if (score > 1e-8) stop(paste(scenario, "did not converge", score))
  record(scenario, "coef", fit$coef, "", NA, names)
  record(scenario, "robust", fit$var, "", NA, pairs_of(names))
  record(scenario, "loglik", fit$loglik)
  record(scenario, "loglik_null", fit$loglik.null)
  if (!is.null(profiles)) {
    new <- model.matrix(as.formula(paste("~", right)), profiles)[, -1, drop = FALSE]
    curve <- predict(fit, new)
    at <- findInterval(times, curve[, 1])
    for (k in seq_len(nrow(profiles)))
      record(scenario, "incidence", c(0, curve[, 1 + k])[at + 1], as.character(k), times)
  }
}
mgus_data$cause <- mgus_data$id <- pbc_data$cause <- NULL
profiles <- data.frame(age = c(50, 70), sex = c("F", "M"), mspike = c(1.5, 0.4))
right <- "age + sex + mspike"
for (cause in 1:2) {
  plain <- expand(mgus_data, cause)
  record_finegray(paste0("finegray_mgus_", cause), plain, right, profiles = profiles, times = months)
  record_crr(paste0("crr_mgus_", cause), mgus_data, right, cause, profiles = profiles, times = months)
}
plain <- expand(mgus_data, 1)
record_finegray("finegray_mgus_breslow", plain, right, "breslow", profiles = profiles, times = months)
record_finegray("finegray_mgus_practice", plain, right, cluster = "practice")
record_finegray("finegray_mgus_weighted", expand(mgus_data, 1, weights = "w"), right, profiles = profiles, times = months)
record_finegray("finegray_mgus_weighted_breslow", expand(mgus_data, 1, weights = "w"), right, "breslow")
record_finegray("finegray_mgus_strata", expand(mgus_data, 1, by = "era"), paste(right, "+ strata(era)"))
record_finegray("finegray_mgus_entry", expand(mgus_data, 1, start = "entry"), right)
record_finegray("finegray_mgus_entry_weighted", expand(mgus_data, 1, start = "entry", weights = "w"), right)
record_finegray("finegray_mgus_entry_strata", expand(mgus_data, 1, by = "era", start = "entry"),
                paste(right, "+ strata(era)"))
record_crr("crr_mgus_cengroup", mgus_data, right, 1, groups = "sex")
record_crr("crr_mgus_cengroup_era", mgus_data, right, 2, groups = "era")
tied <- pbc_data; tied$time <- tied$month
for (cause in 1:2) {
  record_finegray(paste0("finegray_pbc_", cause), expand(pbc_data, cause), "age + log(bili) + edema")
  record_finegray(paste0("finegray_pbc_tied_", cause), expand(tied, cause, weights = "w"), "age + log(bili) + edema")
  record_crr(paste0("crr_pbc_", cause), pbc_data, "age + log(bili) + edema", cause)
  record_crr(paste0("crr_pbc_tied_", cause), tied, "age + log(bili) + edema", cause)
  record_crr(paste0("crr_pbc_cengroup_", cause), pbc_data, "age + log(bili) + edema", cause, groups = "edema")
  record_crr(paste0("crr_pbc_tied_cengroup_", cause), tied, "age + log(bili) + edema", cause, groups = "edema")
}
record_finegray("finegray_colon", expand(colon_data, 1), "rx + nodes + sex")
record_crr("crr_colon", colon_data, "rx + nodes + sex", 1)
record_crr("crr_colon_cengroup", colon_data, "rx + nodes + sex", 1, groups = "rx")
record_finegray("finegray_rotterdam", expand(rotterdam_data, 1), "age + nodes + grade + hormon")
record_finegray("finegray_rotterdam_2", expand(rotterdam_data, 2), "age + nodes + grade + hormon")
record_crr("crr_rotterdam", rotterdam_data, "age + nodes + grade + hormon", 1)

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
numbers$time <- ifelse(is.na(numbers$time), "", sprintf("%.17g", numbers$time))
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = TRUE, eol = "\n")
writeLines(c(R.version.string, paste("survival", packageVersion("survival")), paste("cmprsk", packageVersion("cmprsk"))),
           "sessionInfo.txt")
files <- c(file.path("inputs", paste0(names(inputs), ".csv")), "numbers.csv")
sums <- sub(" .*$", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
