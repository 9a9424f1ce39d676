# Makes the inputs, reference matches, weights and numbers and the session record that test_matching_reference.py reads.
# Run from this folder: Rscript generate_matching.R
suppressPackageStartupMessages({library(MatchIt); library(survival); library(sandwich)})
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)

write_table <- function(frame, path) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, path, row.names = FALSE, quote = FALSE, eol = "\n")
}
control <- glm.control(epsilon = 1e-14, maxit = 100)
# Matching is on the logit in whole steps of 1e-8, so that ties and equal distances are exact on both sides.
steps_of <- function(formula, data) round(glm(formula, binomial, data, control = control)$linear.predictors * 1e8)
# The rows of the files stand in another order than the identifiers, by which R matches.
scattered <- function(frame) frame[order((seq_len(nrow(frame)) * 7919) %% 104729), ]
identified <- function(frame, letter) data.frame(id = sprintf("%s%04d", letter, seq_len(nrow(frame))), frame)

lalonde_data <- identified(lalonde, "l")
lalonde_data$race <- as.character(lalonde_data$race)
lalonde_data$earns <- as.integer(lalonde_data$re78 > 5000)
lalonde_data$steps <- steps_of(treat ~ age + educ + race + married + nodegree, lalonde_data)
kept <- rotterdam[rotterdam$pid %% 2 == 0, c("age", "meno", "size", "grade", "nodes", "pgr", "er", "hormon", "rtime",
                                             "recur")]
kept$size <- as.character(kept$size)
names(kept)[names(kept) == "hormon"] <- "treat"
covariates <- treat ~ age + meno + size + grade + nodes + pgr + er
kept <- kept[!duplicated(kept[all.vars(covariates)[-1]]), ]
kept$steps <- steps_of(covariates, kept)
stopifnot(!anyDuplicated(kept$steps))   # no ties here
rotterdam_data <- identified(kept, "r")
inputs <- list(lalonde = lalonde_data, rotterdam = rotterdam_data)
for (name in names(inputs)) write_table(scattered(inputs[[name]]), file.path("inputs", paste0(name, ".csv")))
for (name in names(inputs)) rownames(inputs[[name]]) <- inputs[[name]]$id

pairs <- weights <- numbers <- list()
record_weights <- function(scenario, m, ids) {
  subclass <- if (is.null(m$subclass)) rep(NA, length(ids)) else as.integer(m$subclass)
  weights[[length(weights) + 1]] <<- data.frame(scenario, id = ids, weight = as.numeric(m$weights), subclass)
}
record_pairs <- function(scenario, matrix) {
  for (k in seq_len(ncol(matrix))) {
    there <- !is.na(matrix[, k])
    pairs[[length(pairs) + 1]] <<- data.frame(scenario, focal = rownames(matrix)[there], other = matrix[there, k])
  }
}
match_on <- function(scenario, data, ...) {
  m <- suppressWarnings(matchit(treat ~ 1, data, distance = data$steps, ...))
  record_weights(scenario, m, data$id)
  if (!is.null(m$match.matrix)) record_pairs(scenario, m$match.matrix)
  invisible(m)
}
# MatchIt 4.5.1 goes wrong with a ratio above 1 on a vector of distances (it skips neighbours, and with replacement takes
# the same one twice), not on a matrix of them; there who chooses first is the order of the rows.
match_several <- function(scenario, data, ratio, replace = FALSE, caliper = NULL) {
  data <- data[order(-data$steps, data$id), ]
  apart <- abs(outer(data$steps, data$steps, "-"))
  dimnames(apart) <- list(data$id, data$id)
  m <- suppressWarnings(matchit(treat ~ 1, data, distance = apart, ratio = ratio, replace = replace, m.order = "data",
                                caliper = if (is.null(caliper)) NULL else caliper * sd(data$steps),
                                std.caliper = FALSE))
  record_weights(scenario, m, data$id)
  record_pairs(scenario, m$match.matrix)
  invisible(m)
}

exact_on <- list(lalonde = ~ race + married, rotterdam = ~ size + meno)
for (name in names(inputs)) {
  data <- inputs[[name]]
  on <- function(what, ...) match_on(paste(name, what, sep = "_"), data, ...)
  on("nearest")
  on("smallest", m.order = "smallest")
  on("id", m.order = "data")
  on("caliper", caliper = 0.2)
  on("narrow", caliper = 0.01)
  on("exact", exact = exact_on[[name]])
  on("exact_caliper", exact = exact_on[[name]], caliper = 0.1)
  on("replace", replace = TRUE)
  on("replace_caliper", replace = TRUE, caliper = 0.02)
  on("atc", estimand = "ATC")
  on("atc_caliper", estimand = "ATC", caliper = 0.2)
  on("atc_replace", estimand = "ATC", replace = TRUE)
  for (estimand in c("ATT", "ATC", "ATE"))
    on(paste0("subclass_", estimand), method = "subclass", subclass = 5, estimand = estimand, min.n = 0)
  on("subclass_many", method = "subclass", subclass = 40, estimand = "ATE", min.n = 0)
}
rotterdam_data <- inputs$rotterdam
match_several("rotterdam_two", rotterdam_data, 2)
match_several("rotterdam_three_caliper", rotterdam_data, 3, caliper = 0.005)
match_several("rotterdam_two_replace", rotterdam_data, 2, replace = TRUE)

record <- function(scenario, quantity, estimate, std_error)
  numbers[[length(numbers) + 1]] <<- data.frame(scenario, quantity, estimate = as.numeric(estimate),
                                                std_error = as.numeric(std_error))
rates <- function(scenario, data, cluster) {
  models <- list(risk_difference = gaussian, risk_ratio = quasipoisson, odds_ratio = quasibinomial)
  for (quantity in names(models)) {
    fit <- glm(earns ~ treat, models[[quantity]], data, weights = weights, control = control)
    v <- if (is.null(cluster)) vcovHC(fit, type = "HC0") else
      vcovCL(fit, cluster = cluster, type = "HC0", cadjust = FALSE)
    record(scenario, quantity, coef(fit)[2], sqrt(v[2, 2]))
  }
}
lalonde_data <- inputs$lalonde
for (what in list(list("caliper", caliper = 0.2), list("nearest"))) {
  m <- suppressWarnings(do.call(matchit, c(list(treat ~ 1, lalonde_data, distance = lalonde_data$steps), what[-1])))
  rates(paste0("lalonde_", what[[1]]), match.data(m), ~ subclass)
}
m <- matchit(treat ~ 1, lalonde_data, distance = lalonde_data$steps, replace = TRUE)
uses <- get_matches(m, id = "patient")
rates("lalonde_replace", uses, ~ subclass + patient)
for (estimand in c("ATT", "ATE")) {
  m <- matchit(treat ~ 1, lalonde_data, distance = lalonde_data$steps, method = "subclass", subclass = 5,
               estimand = estimand, min.n = 0)
  rates(paste0("lalonde_subclass_", estimand), match.data(m), NULL)
}
record_cox <- function(scenario, data) {
  fit <- coxph(Surv(rtime, recur) ~ treat, data, weights = weights, cluster = subclass,
               control = coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100))
  record(scenario, "log_hazard_ratio", coef(fit), sqrt(diag(fit$var)))
}
for (what in list(list("caliper", caliper = 0.2), list("exact", exact = exact_on$rotterdam))) {
  m <- do.call(matchit, c(list(treat ~ 1, rotterdam_data, distance = rotterdam_data$steps), what[-1]))
  record_cox(paste0("rotterdam_", what[[1]]), match.data(m))
}
ordered <- rotterdam_data[order(-rotterdam_data$steps), ]
apart <- abs(outer(ordered$steps, ordered$steps, "-")); dimnames(apart) <- list(ordered$id, ordered$id)
record_cox("rotterdam_two", match.data(matchit(treat ~ 1, ordered, distance = apart, ratio = 2, m.order = "data"),
                                       data = ordered))

write_table(do.call(rbind, pairs), "pairs.csv")
all_weights <- do.call(rbind, weights)
few <- grepl("lalonde|three|two|_replace$|subclass_ATE", all_weights$scenario)   # the pairs give the others
write_table(all_weights[all_weights$weight > 0 & few, ], "weights.csv")
write_table(do.call(rbind, numbers), "numbers.csv")
writeLines(c(R.version.string, sapply(c("MatchIt", "survival", "sandwich"),
                                      function(p) paste(p, packageVersion(p)))), "sessionInfo.txt")
files <- c(file.path("inputs", paste0(names(inputs), ".csv")), "pairs.csv", "weights.csv", "numbers.csv")
sums <- sub(" .*$", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
