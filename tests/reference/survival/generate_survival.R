# Makes the inputs, reference numbers and session record that test_survival_reference.py reads.
# Run from this folder: Rscript generate_survival.R
suppressPackageStartupMessages(library(survival))
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}
# weights that are neither whole nor balanced, the same on every machine
weight <- function(n) 0.4 + ((seq_len(n) * 7) %% 11) / 5

lung_data <- na.omit(data.frame(time = lung$time, status = lung$status - 1, sex = lung$sex, age = lung$age,
                                ph_ecog = lung$ph.ecog))
lung_data$month <- ceiling(lung_data$time / 60)   # heavy ties
lung_data$w <- weight(nrow(lung_data))
veteran_data <- with(veteran, data.frame(time, status, celltype = as.character(celltype), karno, age, trt, prior))
veteran_data$w <- weight(nrow(veteran_data))
heart_data <- with(heart, data.frame(start, stop, event, age, year, surgery,
                                     transplant = as.integer(as.character(transplant)), id))
heart_data$w <- weight(nrow(heart_data))
colon_data <- na.omit(with(colon, data.frame(id, time, status, rx = as.character(rx), sex, nodes, age, etype)))
pbc_data <- with(pbc, data.frame(time, status, month = ceiling(time / 91), sex = as.character(sex), age, bili, edema))
mgus_data <- with(mgus2, data.frame(time = ifelse(pstat == 0, futime, ptime),
                                    status = ifelse(pstat == 1, 1, 2 * death), sex = as.character(sex)))
inputs <- list(lung = lung_data, veteran = veteran_data, heart = heart_data, colon = colon_data, pbc = pbc_data,
               mgus = mgus_data)
for (name in names(inputs)) write_input(name, inputs[[name]])

rows <- list()
record <- function(scenario, quantity, value, group = "", time = NA, term = "") {
  value <- as.numeric(value)
  if (!length(value)) return(invisible())
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, group, time, term, value)
}

group_of <- function(fit) if (is.null(fit$strata)) rep("", length(fit$time)) else
  rep(sub("^.*=", "", names(fit$strata)), fit$strata)

record_curve <- function(scenario, fit) {
  s <- summary(fit, censored = TRUE)
  for (q in c("surv", "std.err", "lower", "upper", "n.risk", "n.event"))
    record(scenario, q, s[[q]], group_of(fit), s$time)
}
record_median <- function(scenario, fit) {
  q <- quantile(fit, 0.5)
  groups <- if (is.null(fit$strata)) "" else sub("^.*=", "", names(fit$strata))
  record(scenario, "median", q$quantile, groups)
  record(scenario, "median.lower", q$lower, groups)
  record(scenario, "median.upper", q$upper, groups)
}
for (type in c("plain", "log", "log-log", "logit", "arcsin")) {
  fit <- survfit(Surv(time, status) ~ sex, lung_data, conf.type = type)
  record_curve(paste0("km_lung_", type), fit)
  record_median(paste0("km_lung_", type), fit)
}
fit <- survfit(Surv(month, status) ~ sex, lung_data, conf.type = "log-log")
record_curve("km_lung_tied", fit); record_median("km_lung_tied", fit)
fit <- survfit(Surv(month, status) ~ sex, lung_data, weights = w, robust = TRUE, conf.type = "log-log")
record_curve("km_lung_weighted", fit); record_median("km_lung_weighted", fit)
record_curve("km_heart_entry", survfit(Surv(start, stop, event) ~ 1, heart_data, conf.type = "log-log"))
# every row its own cluster: the weights are of rows, not of patients
heart_data$row <- seq_len(nrow(heart_data))
record_curve("km_heart_entry_weighted", survfit(Surv(start, stop, event) ~ 1, heart_data, weights = w, id = row,
                                                robust = TRUE, conf.type = "log-log"))

record_rmean <- function(scenario, fit, tau) {
  m <- summary(fit, rmean = tau)$table
  if (is.null(dim(m))) m <- t(m)
  groups <- if (is.null(fit$strata)) "" else sub("^.*=", "", names(fit$strata))
  record(scenario, "rmean", m[, "rmean"], groups)
  record(scenario, "se", m[, "se(rmean)"], groups)
}
record_rmean("rmst_lung", survfit(Surv(time, status) ~ sex, lung_data), 365)
record_rmean("rmst_lung_tied", survfit(Surv(month, status) ~ sex, lung_data), 10)
record_rmean("rmst_heart_entry", survfit(Surv(start, stop, event) ~ 1, heart_data), 365)
# weighted: integrate the influence of each row on the curve, which survfit returns already times its weight
weighted_rmean <- function(scenario, group, data, tau) {
  fit <- survfit(Surv(month, status) ~ 1, data, weights = w, robust = TRUE, influence = 1)
  inside <- fit$time <= tau
  width <- diff(c(0, fit$time[inside], tau))
  area <- sum(width * c(1, fit$surv[inside]))
  influence <- cbind(0, fit$influence.surv[, inside]) %*% width
  record(scenario, "rmean", area, group)
  record(scenario, "se", sqrt(sum(influence^2)), group)
}
for (s in 1:2) weighted_rmean("rmst_lung_weighted", as.character(s), lung_data[lung_data$sex == s, ], 10)

record_test <- function(scenario, test) {
  record(scenario, "chisq", test$chisq)
  record(scenario, "df", length(test$n) - 1)
}
record_test("logrank_lung", survdiff(Surv(month, status) ~ sex, lung_data))
record_test("logrank_lung_rho1", survdiff(Surv(month, status) ~ sex, lung_data, rho = 1))
record_test("logrank_lung_strata", survdiff(Surv(month, status) ~ sex + strata(ph_ecog), lung_data))
record_test("logrank_veteran", survdiff(Surv(time, status) ~ celltype, veteran_data))
record_test("logrank_veteran_strata_rho1", survdiff(Surv(time, status) ~ celltype + strata(trt), veteran_data, rho = 1))
robust_score <- function(scenario, fit) {
  record(scenario, "chisq", fit$rscore)
  record(scenario, "df", length(fit$coefficients))
}
robust_score("logrank_lung_weighted", coxph(Surv(month, status) ~ factor(sex), lung_data, weights = w, robust = TRUE,
                                            ties = "breslow"))
robust_score("logrank_veteran_weighted_strata",
             coxph(Surv(time, status) ~ celltype + strata(trt), veteran_data, weights = w, robust = TRUE,
                   ties = "breslow"))

control <- coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100)
record_cox <- function(scenario, fit) {
  names <- names(coef(fit))
  record(scenario, "coef", coef(fit), "", NA, names)
  model <- if (is.null(fit$naive.var)) fit$var else fit$naive.var
  record(scenario, "variance", model, "", NA, as.vector(outer(names, names, paste, sep = "|")))
  if (!is.null(fit$naive.var))
    record(scenario, "robust", fit$var, "", NA, as.vector(outer(names, names, paste, sep = "|")))
  record(scenario, "loglik", fit$loglik[2])
  record(scenario, "loglik_null", fit$loglik[1])
  for (transform in c("km", "rank", "identity", "log")) {
    table <- cox.zph(fit, transform = transform)$table
    record(scenario, paste0("zph_", transform), table[, "chisq"], "", NA, rownames(table))
    record(scenario, paste0("zph_df_", transform), table[, "df"], "", NA, rownames(table))
  }
}
record_cox("cox_lung", coxph(Surv(time, status) ~ age + sex + ph_ecog, lung_data, control = control))
for (ties in c("efron", "breslow")) {
  record_cox(paste0("cox_lung_tied_", ties),
             coxph(Surv(month, status) ~ age + sex + ph_ecog, lung_data, ties = ties, robust = TRUE, control = control))
  record_cox(paste0("cox_lung_weighted_", ties),
             coxph(Surv(month, status) ~ age + sex + ph_ecog, lung_data, ties = ties, weights = w, robust = TRUE,
                   control = control))
  record_cox(paste0("cox_heart_", ties),
             coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart_data, ties = ties, cluster = id,
                   control = control))
}
record_cox("cox_heart_weighted",
           coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart_data, weights = w, cluster = id,
                 control = control))
record_cox("cox_veteran", coxph(Surv(time, status) ~ celltype + karno + trt, veteran_data, robust = TRUE,
                                control = control))
record_cox("cox_colon", coxph(Surv(time, status) ~ rx + nodes + strata(sex, etype), colon_data, cluster = id,
                              control = control))
pbc_data$death <- as.integer(pbc_data$status == 2)
record_cox("cox_pbc", coxph(Surv(month, death) ~ age * sex + log(bili), pbc_data, control = control))

record_incidence <- function(scenario, fit) {
  groups <- group_of(fit)
  for (cause in 2:length(fit$states)) {
    term <- as.character(fit$states[cause])
    record(scenario, "pstate", fit$pstate[, cause], groups, fit$time, term)
    record(scenario, "std.err", fit$std.err[, cause], groups, fit$time, term)
    record(scenario, "lower", fit$lower[, cause], groups, fit$time, term)
    record(scenario, "upper", fit$upper[, cause], groups, fit$time, term)
    record(scenario, "n.event", fit$n.event[, cause], groups, fit$time, term)
  }
}
record_incidence("cif_mgus", survfit(Surv(time, factor(status, 0:2)) ~ sex, mgus_data, conf.type = "log-log"))
record_incidence("cif_pbc_tied", survfit(Surv(month, factor(status, 0:2)) ~ sex, pbc_data, conf.type = "log-log"))

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
numbers$time <- ifelse(is.na(numbers$time), "", sprintf("%.17g", numbers$time))
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = TRUE, eol = "\n")
writeLines(c(R.version.string, paste("survival", packageVersion("survival"))), "sessionInfo.txt")
files <- c(file.path("inputs", paste0(names(inputs), ".csv")), "numbers.csv")
sums <- sub(" .*$", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
