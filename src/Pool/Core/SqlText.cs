using System.Buffers;

namespace UPool.Core;

/// <summary>How many statements an execution may be; the meaning of its failure depends on this.</summary>
internal enum ScriptKind
{
    /// <summary>One that reads or writes rows: if it fails, the server has undone all of it.</summary>
    Single,

    /// <summary>One, followed by <c>SELECT LAST_INSERT_ID()</c>.</summary>
    SingleAndId,

    /// <summary>Several, or one that may hold more than it shows: a procedure, a block, a statement on several tables'
    /// definitions.</summary>
    Several,
}

/// <summary>The effect of a statement on the session's transaction.</summary>
internal enum TransactionEffect
{
    /// <summary>None. If it succeeds, an open transaction stays open; if it fails, the server keeps all of it or rolls
    /// all of it back.</summary>
    None,

    /// <summary>It begins a transaction, and commits one that was open.</summary>
    Begins,

    /// <summary>It turns autocommit off: an open transaction stays open, and after each end the next one
    /// begins.</summary>
    TakesAutocommit,

    /// <summary>It turns autocommit on, which commits a transaction that was open because autocommit was off.</summary>
    GivesAutocommit,

    /// <summary>It commits the transaction.</summary>
    Commits,

    /// <summary>It rolls the transaction back.</summary>
    RollsBack,

    /// <summary>It may commit one and begin another: a procedure, a change of definitions, anything unknown.</summary>
    Unknown,
}

/// <summary>The facts that are certain about a statement's text; where in doubt, the answer says it.</summary>
internal static class SqlText
{
    private const string Id = "LAST_INSERT_ID";

    // A text without any of these words cannot begin a transaction or prepare an XA transaction. A procedure can, but
    // its own transaction is not the pool's concern.
    private static readonly SearchValues<string> Beginnings =
        SearchValues.Create(["BEGIN", "START", "AUTOCOMMIT", "PREPARE"], StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether the text may begin a transaction or prepare an XA one. Cheap: called for each text outside
    /// one.</summary>
    public static bool MayBegin(string text) => text.AsSpan().ContainsAny(Beginnings);

    /// <summary>
    /// Whether the text may prepare an XA transaction, which outlives its session's reset: on MariaDB the session is
    /// then unusable (error 1031).
    /// </summary>
    public static bool MayPrepareXa(string text)
    {
        int at = text.IndexOf("PREPARE", StringComparison.OrdinalIgnoreCase);
        return at > 0 && text.AsSpan(0, at).Contains("XA", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The number of statements by which a text may take effect.</summary>
    public static ScriptKind KindOf(string text)
    {
        var scanner = new SqlScanner(text);
        bool isOne = !text.Contains(';', StringComparison.Ordinal);
        int statements = 0;
        bool isLastId = false;
        while (true)
        {
            Verb verb = Verb.Read(ref scanner, isOne);
            if (verb.IsEmpty && verb.Ends) break;
            if (verb.IsEmpty) continue;

            // A sql_mode for the next statement: the reset takes it back, so a failure leaves nothing done.
            if (verb is { IsMode: true, Ends: false } && statements == 0) continue;
            if (!verb.IsOfRows) return ScriptKind.Several;

            statements++;
            isLastId = verb.IsId;
            if (verb.Ends) break;
        }

        // A server that reads the text differently may find a second statement, if there is a semicolon.
        return scanner.IsAmbiguous && !isOne ? ScriptKind.Several
            : statements <= 1 ? ScriptKind.Single
            : statements == 2 && isLastId ? ScriptKind.SingleAndId
            : ScriptKind.Several;
    }

    /// <summary>The effect of a whole text on the session's transaction. The last statement with an effect decides,
    /// unless autocommit was turned off before; one unknown statement makes the whole unknown.</summary>
    public static TransactionEffect EffectOf(string text)
    {
        var scanner = new SqlScanner(text);
        bool isOne = !text.Contains(';', StringComparison.Ordinal);
        var effect = TransactionEffect.None;
        while (true)
        {
            Verb verb = Verb.Read(ref scanner, isOne);
            if (verb.Effect == TransactionEffect.Unknown) return TransactionEffect.Unknown;
            effect = Join(effect, verb.Effect);
            if (verb.Ends) break;
        }

        return scanner.IsAmbiguous && !isOne ? TransactionEffect.Unknown : effect;
    }

    /// <summary>The joint effect of two statements, one after the other, on the session's transaction.</summary>
    public static TransactionEffect Join(TransactionEffect first, TransactionEffect second) =>
        second == TransactionEffect.None ? first
        : first == TransactionEffect.TakesAutocommit && second != TransactionEffect.GivesAutocommit ? first
        : second;

    /// <summary>
    /// Whether a text abandons a transaction that is over before it does anything else: it begins with <c>ROLLBACK</c>,
    /// <c>BEGIN</c> or <c>START TRANSACTION</c>.
    /// </summary>
    public static bool LetsGo(string text)
    {
        var scanner = new SqlScanner(text);
        if (scanner.Next() != SqlToken.Word || scanner.Is("COMMIT") || scanner.Is("SET")) return false;

        scanner = new SqlScanner(text);
        TransactionEffect effect = Verb.Read(ref scanner, isOnly: true).Effect;
        return effect is TransactionEffect.Begins or TransactionEffect.RollsBack;
    }

    /// <summary>One statement of a text.</summary>
    private readonly record struct Verb(bool IsEmpty, bool IsOfRows, TransactionEffect Effect, bool IsMode, bool IsId)
    {
        /// <summary>Whether no statement follows.</summary>
        public bool Ends { get; private init; }

        /// <param name="scanner">Stands at the beginning of the statement, and at its end afterwards.</param>
        /// <param name="isOnly">Whether the text holds no semicolon, so that the rest need not be read.</param>
        public static Verb Read(ref SqlScanner scanner, bool isOnly)
        {
            SqlToken token = scanner.Next();
            while (token == SqlToken.Other && scanner.Symbol == '(') token = scanner.Next();

            // A comment that some servers execute may hold another first word.
            Verb verb = token switch
            {
                _ when scanner.IsAmbiguous => Unknown,
                SqlToken.End or SqlToken.Semicolon => new Verb(true, true, TransactionEffect.None, false, false),
                SqlToken.Word => OfWord(ref scanner, ref token),
                _ => Unknown,
            };
            if (isOnly) return verb with { Ends = true };

            while (token is not (SqlToken.End or SqlToken.Semicolon)) token = scanner.Next();
            return verb with { Ends = token == SqlToken.End };
        }

        private static readonly Verb Unknown = new(false, false, TransactionEffect.Unknown, false, false);
        private static readonly Verb Rows = new(false, true, TransactionEffect.None, false, false);

        private static Verb OfWord(ref SqlScanner scanner, ref SqlToken token)
        {
            switch (scanner.Word.Length)
            {
                // By length first: nearly all statements are one of these.
                case 6 when scanner.Is("SELECT"):
                    return Rows with { IsId = IsIdOnly(ref scanner, ref token) };
                case 6 when scanner.Is("INSERT") || scanner.Is("UPDATE") || scanner.Is("DELETE"):
                case 7 when scanner.Is("REPLACE") || scanner.Is("EXPLAIN") || scanner.Is("HANDLER"):
                case 4 when scanner.Is("WITH") || scanner.Is("SHOW") || scanner.Is("DESC"):
                case 5 when scanner.Is("TABLE"):
                case 6 when scanner.Is("VALUES") || scanner.Is("SIGNAL"):
                case 8 when scanner.Is("DESCRIBE"):
                case 2 when scanner.Is("DO"):
                case 3 when scanner.Is("USE") || scanner.Is("GET"):
                case 9 when scanner.Is("SAVEPOINT"):
                case 7 when scanner.Is("RELEASE"):
                    return Rows;
                case 4 when scanner.Is("LOAD"):
                    token = scanner.Next();
                    return token == SqlToken.Word && (scanner.Is("DATA") || scanner.Is("XML")) ? Rows : Unknown;
                case 3 when scanner.Is("SET"):
                    return OfSet(ref scanner, ref token);
                default:
                    return Unknown with { Effect = EffectOf(ref scanner, ref token) };
            }
        }

        // SELECT LAST_INSERT_ID() and nothing after it.
        private static bool IsIdOnly(ref SqlScanner scanner, ref SqlToken token)
        {
            token = scanner.Next();
            if (token != SqlToken.Word || !scanner.Is(Id)) return false;

            token = scanner.Next();
            if (token != SqlToken.Other || scanner.Symbol != '(') return false;

            token = scanner.Next();
            if (token != SqlToken.Other || scanner.Symbol != ')') return false;

            token = scanner.Next();
            return token is SqlToken.End or SqlToken.Semicolon;
        }

        private static TransactionEffect EffectOf(ref SqlScanner scanner, ref SqlToken token)
        {
            if (scanner.Is("BEGIN"))
            {
                token = scanner.Next();
                if (token == SqlToken.Word && scanner.Is("WORK")) token = scanner.Next();

                // Anything after it makes it a block.
                return token is SqlToken.End or SqlToken.Semicolon ? TransactionEffect.Begins
                    : TransactionEffect.Unknown;
            }

            if (scanner.Is("START"))
            {
                token = scanner.Next();
                return token == SqlToken.Word && scanner.Is("TRANSACTION") ? TransactionEffect.Begins
                    : TransactionEffect.Unknown;
            }

            bool isCommit = scanner.Is("COMMIT");
            if (!isCommit && !scanner.Is("ROLLBACK")) return TransactionEffect.Unknown;

            TransactionEffect effect = isCommit ? TransactionEffect.Commits : TransactionEffect.RollsBack;
            bool isNegated = false;
            for (token = scanner.Next(); token == SqlToken.Word; token = scanner.Next())
            {
                // To a savepoint: the transaction goes on.
                if (scanner.Is("TO")) return TransactionEffect.None;

                // AND CHAIN begins the next one, AND NO CHAIN does not.
                if (scanner.Is("NO")) isNegated = true;
                else if (scanner.Is("CHAIN") && !isNegated) return TransactionEffect.Begins;
            }

            return effect;
        }

        // Settings that a reset takes back and that affect no transaction; for autocommit, the value decides.
        private static Verb OfSet(ref SqlScanner scanner, ref SqlToken token)
        {
            token = scanner.Next();
            bool isMode = token == SqlToken.Word && scanner.Is("sql_mode");
            bool isKnown = isMode || (token == SqlToken.Word && scanner.Is("NAMES"))
                || (token == SqlToken.Other && scanner.Symbol == '@');
            bool isAutocommit = false;

            // One @ before a word makes it a variable of the user, two make it one of the session.
            int signs = 0;
            bool isValue = false;
            var effect = TransactionEffect.None;
            for (; token is not (SqlToken.End or SqlToken.Semicolon); token = scanner.Next())
            {
                // A quoted name may be that of autocommit.
                if (token == SqlToken.Quoted && scanner.Symbol != '\'') return Unknown;
                bool isSymbol = token == SqlToken.Other;

                // The value of autocommit is more than the one word.
                if (isValue && !(isSymbol && scanner.Symbol == ',')) return Unknown;

                isValue = false;
                if (token != SqlToken.Word)
                {
                    signs = isSymbol && scanner.Symbol == '@' ? signs + 1 : 0;
                    continue;
                }

                bool isOwn = signs == 1;
                signs = 0;
                if (isOwn && isAutocommit) return Unknown;
                if (isOwn) continue;
                if (scanner.Is("GLOBAL") || scanner.Is("PERSIST") || scanner.Is("PERSIST_ONLY")) return Unknown;

                if (scanner.Is("autocommit")) isAutocommit = true;
                else if (isAutocommit)
                {
                    effect = EffectOfAutocommit(ref scanner);
                    isAutocommit = false;
                    isValue = true;
                }
            }

            return isAutocommit || effect != TransactionEffect.None
                ? Unknown with { Effect = isAutocommit ? TransactionEffect.Unknown : effect }
                : isKnown ? Rows with { IsMode = isMode }
                : Unknown;
        }

        private static TransactionEffect EffectOfAutocommit(ref SqlScanner scanner) =>
            scanner.Is("0") || scanner.Is("OFF") || scanner.Is("FALSE") ? TransactionEffect.TakesAutocommit
            : scanner.Is("1") || scanner.Is("ON") || scanner.Is("TRUE") ? TransactionEffect.GivesAutocommit
            : TransactionEffect.Unknown;
    }
}
