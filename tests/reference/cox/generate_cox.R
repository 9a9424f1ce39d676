# Makes the inputs, reference numbers and session record that test_cox_reference.py reads.
# Run from this folder: Rscript generate_cox.R
suppressPackageStartupMessages(library(survival))
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}
# weights and offsets that are neither whole nor balanced, the same on every machine
weight <- function(n) 0.4 + ((seq_len(n) * 7) %% 11) / 5
offset_of <- function(n) ((seq_len(n) * 5) %% 13) / 13 - 0.3

inputs <- list(
  lung = na.omit(with(lung, data.frame(time, month = ceiling(time / 60), status = status - 1, sex, age,
                                       ph_ecog = ph.ecog))),
  veteran = with(veteran, data.frame(time, status, celltype = as.character(celltype), karno, age, trt)),
  ovarian = with(ovarian, data.frame(futime, fustat, age, resid_ds = resid.ds, rx)),
  pbc = with(pbc, data.frame(month = ceiling(time / 91), death = as.integer(status == 2), sex = as.character(sex), age,
                             bili, edema)),
  colon = na.omit(with(colon, data.frame(id, time, status, rx = as.character(rx), sex, nodes, etype))),
  bladder = with(bladder2, data.frame(id, start, stop, event, rx, number, size, enum)),
  # the age of the patient, in months, as the time scale: late entry
  mgus2 = na.omit(with(mgus2, data.frame(entry = 12 * age, exit = 12 * age + futime, death, sex = as.character(sex), hgb,
                                         creat))),
  rotterdam = with(rotterdam[rotterdam$pid %% 3 == 0, ],
                   data.frame(month = ceiling(dtime / 30), death, age, meno, size = c("a.le20", "b.20to50", "c.gt50")[size], nodes, hormon,
                              chemo)))
inputs$mgus2 <- inputs$mgus2[inputs$mgus2$exit > inputs$mgus2$entry, ]
for (name in names(inputs)) {
  n <- nrow(inputs[[name]])
  inputs[[name]]$w <- weight(n)
  inputs[[name]]$off <- offset_of(n)
  rownames(inputs[[name]]) <- NULL
  write_input(name, inputs[[name]])
}

rows <- list()
record <- function(scenario, quantity, value, row = NA, time = NA, term = "") {
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, row, time, term, value = as.numeric(value))
}
thinned <- function(size, most) unique(round(seq(1, size, length.out = min(size, most))))

control <- coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100)

# new: rows to predict for; zero: the row with every covariate zero (reference level); joint: coefficients tested together
record_cox <- function(scenario, formula, data, new, zero, joint, weighted = FALSE, id = NULL, by = NULL,
                       ties = "efron") {
  data$.id <- if (is.null(id)) seq_len(nrow(data)) else data[[id]]
  current <<- data  # where survfit() and predict() look for it again
  call <- list(quote(coxph), formula, data = quote(current), ties = ties, control = quote(control))
  if (weighted) call$weights <- quote(w)
  if (weighted || !is.null(id)) call$cluster <- quote(.id)  # each row its own when there is no id
  fit <- eval(as.call(call))
  names <- names(coef(fit))
  pairs <- as.vector(outer(names, names, paste, sep = "|"))
  model <- if (is.null(fit$naive.var)) fit$var else fit$naive.var
  record(scenario, "coef", coef(fit), term = names)
  record(scenario, "variance", model, term = pairs)
  if (!is.null(fit$naive.var)) record(scenario, "robust", fit$var, term = pairs)
  record(scenario, "loglik", fit$loglik[2])
  record(scenario, "loglik_null", fit$loglik[1])
  tested <- match(joint, names)
  record(scenario, "wald", t(coef(fit)[tested]) %*% solve(fit$var[tested, tested]) %*% coef(fit)[tested])

  some <- thinned(nrow(data), 40)
  for (kind in c("martingale", "deviance"))
    record(scenario, kind, residuals(fit, kind, weighted = FALSE)[some], row = some - 1)
  for (kind in c("score", "dfbeta", "dfbetas")) {
    r <- as.matrix(residuals(fit, kind, weighted = kind != "score"))
    record(scenario, kind, r[some, ], row = rep(some - 1, length(names)), term = rep(names, each = length(some)))
  }
  y <- fit$y
  stop_time <- y[, ncol(y) - 1]
  event <- y[, ncol(y)] == 1
  own <- if (is.null(by)) rep(0, nrow(data)) else as.integer(strata(data[by]))
  order_of <- order(own, stop_time)  # as residuals() orders them: by stratum, then time, ties as they come
  failing <- order_of[event[order_of]]
  few <- thinned(length(failing), 40)
  for (kind in c("schoenfeld", "scaledsch")) {
    r <- as.matrix(residuals(fit, kind, weighted = FALSE))
    record(scenario, kind, r[few, ], row = rep(failing[few] - 1, length(names)), time = rep(stop_time[failing[few]], length(names)),
           term = rep(names, each = length(few)))
  }

  case <- if (weighted) data$w else rep(1, nrow(data))
  cluster <- if (is.null(id)) seq_len(nrow(data)) else data[[id]]
  agree <- survival:::concordancefit(y, fit$linear.predictors, strata = own, weights = case, cluster = cluster,
                                     reverse = TRUE, keepstrata = FALSE)
  record(scenario, "concordance", agree$concordance)
  record(scenario, "concordance_se", sqrt(agree$var))
  record(scenario, "pairs", agree$count, term = c("concordant", "discordant", "tied_score", "tied_time", "tied_both"))

  curve <- function(quantity, newdata, row, ctype, all = FALSE) {
    sf <- survfit(fit, newdata = newdata, ctype = ctype, stype = 2, conf.type = "log-log")
    keep <- which(sf$n.event > 0)
    keep <- keep[thinned(length(keep), 15)]
    record(scenario, paste0(quantity, "_cumhaz_", ctype), sf$cumhaz[keep], row = row, time = sf$time[keep])
    record(scenario, paste0(quantity, "_se_", ctype), sf$std.err[keep], row = row, time = sf$time[keep])
    if (quantity == "predicted") {
      for (part in c("surv", "lower", "upper"))
        record(scenario, paste0("predicted_", part, "_", ctype), sf[[part]][keep], row = row, time = sf$time[keep])
    } else {
      record(scenario, paste0("n_risk_", ctype), sf$n.risk[keep], row = row, time = sf$time[keep])
      record(scenario, paste0("n_event_", ctype), sf$n.event[keep], row = row, time = sf$time[keep])
    }
  }
  for (ctype in 1:2) {
    for (k in seq_len(nrow(zero))) curve("baseline", zero[k, , drop = FALSE], k - 1, ctype)
    for (k in seq_len(nrow(new))) curve("predicted", new[k, , drop = FALSE], k - 1, ctype)
  }
  lp <- predict(fit, newdata = new, type = "lp", se.fit = TRUE, reference = "zero")
  # R takes the mean offset of the data from predictions for new rows
  shift <- if (is.null(attr(terms(fit), "offset"))) 0 else mean(data$off)
  record(scenario, "lp", lp$fit + shift, row = seq_len(nrow(new)) - 1)
  record(scenario, "lp_se", lp$se.fit, row = seq_len(nrow(new)) - 1)
}

for (ties in c("efron", "breslow")) {
  new <- data.frame(age = c(50, 71), sex = c(1, 2), ph_ecog = c(0, 2), off = 0)
  zero <- data.frame(age = 0, sex = 0, ph_ecog = 0, off = 0)
  record_cox(paste0("lung_", ties), Surv(time, status) ~ age + sex + ph_ecog, inputs$lung, new, zero,
             c("age", "sex"), ties = ties)
  record_cox(paste0("lung_tied_", ties), Surv(month, status) ~ age + sex + ph_ecog, inputs$lung, new, zero,
             c("age", "sex"), ties = ties)
  record_cox(paste0("lung_weighted_", ties), Surv(month, status) ~ age + sex + ph_ecog, inputs$lung, new, zero,
             c("sex", "ph_ecog"), weighted = TRUE, ties = ties)
  new <- data.frame(rx = c(1, 2), number = c(2, 1), size = c(1, 4), enum = c(1, 2), off = c(0.4, -0.2))
  zero <- data.frame(rx = 0, number = 0, size = 0, enum = 1:4, off = 0)
  record_cox(paste0("bladder_", ties), Surv(start, stop, event) ~ rx + number + size + strata(enum), inputs$bladder,
             new, zero, c("rx", "size"), id = "id", by = "enum", ties = ties)
  record_cox(paste0("bladder_weighted_", ties), Surv(start, stop, event) ~ rx + number + size, inputs$bladder,
             new, zero[1, ], c("rx", "size"), weighted = TRUE, id = "id", ties = ties)
  record_cox(paste0("bladder_offset_", ties),
             Surv(start, stop, event) ~ rx + number + offset(off) + strata(enum), inputs$bladder, new, zero,
             c("rx", "number"), weighted = TRUE, id = "id", by = "enum", ties = ties)
}
record_cox("lung_offset", Surv(month, status) ~ sex + ph_ecog + offset(off), inputs$lung,
           data.frame(sex = c(1, 2), ph_ecog = c(0, 1), off = c(0.3, -0.1)), data.frame(sex = 0, ph_ecog = 0, off = 0),
           c("sex", "ph_ecog"))
record_cox("veteran", Surv(time, status) ~ karno + age + trt + strata(celltype), inputs$veteran,
           data.frame(karno = c(30, 80), age = c(70, 45), trt = c(1, 2), celltype = c("large", "squamous")),
           data.frame(karno = 0, age = 0, trt = 0, celltype = sort(unique(inputs$veteran$celltype))),
           c("karno", "trt"), by = "celltype")
record_cox("ovarian", Surv(futime, fustat) ~ age + resid_ds + rx, inputs$ovarian,
           data.frame(age = c(45, 66), resid_ds = c(1, 2), rx = c(1, 2)), data.frame(age = 0, resid_ds = 0, rx = 0),
           c("age", "rx"))
record_cox("pbc", Surv(month, death) ~ sex * age + log(bili) + edema, inputs$pbc,
           data.frame(sex = c("f", "m"), age = c(40, 60), bili = c(0.8, 7), edema = c(0, 0.5)),
           data.frame(sex = "f", age = 0, bili = 1, edema = 0), c("sexm", "sexm:age"))
record_cox("colon", Surv(time, status) ~ rx + nodes + strata(sex, etype), inputs$colon,
           data.frame(rx = c("Lev", "Obs"), nodes = c(2, 9), sex = c(0, 1), etype = c(1, 2)),
           data.frame(rx = "Lev", nodes = 0, sex = c(0, 0, 1, 1), etype = c(1, 2, 1, 2)), c("rxLev+5FU", "rxObs"),
           id = "id", by = c("sex", "etype"))
record_cox("mgus2", Surv(entry, exit, death) ~ sex + hgb + creat, inputs$mgus2,
           data.frame(sex = c("F", "M"), hgb = c(14, 10), creat = c(0.9, 2)), data.frame(sex = "F", hgb = 0, creat = 0),
           c("sexM", "creat"))
record_cox("mgus2_weighted", Surv(entry, exit, death) ~ hgb + creat + strata(sex), inputs$mgus2,
           data.frame(sex = c("F", "M"), hgb = c(14, 10), creat = c(0.9, 2)),
           data.frame(sex = c("F", "M"), hgb = 0, creat = 0), c("hgb", "creat"), weighted = TRUE, by = "sex")
record_cox("rotterdam", Surv(month, death) ~ age + meno + size + nodes + hormon + chemo, inputs$rotterdam,
           data.frame(age = c(40, 65), meno = c(0, 1), size = c("b.20to50", "a.le20"), nodes = c(6, 0), hormon = 0,
                      chemo = c(1, 0)),
           data.frame(age = 0, meno = 0, size = "a.le20", nodes = 0, hormon = 0, chemo = 0), c("sizeb.20to50", "sizec.gt50"))

numbers <- do.call(rbind, rows)
for (column in c("value", "time")) numbers[[column]] <- ifelse(is.na(numbers[[column]]), "", sprintf("%.17g", numbers[[column]]))
numbers$row <- ifelse(is.na(numbers$row), "", numbers$row)
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = FALSE, eol = "\n")
files <- file.path("inputs", paste0(sort(names(inputs)), ".csv"))
sums <- sapply(files, function(f) strsplit(system2("sha256sum", f, stdout = TRUE), " ")[[1]][1])
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
