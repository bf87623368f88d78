using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// Holds a process back from trying a password that the server has refused: with <c>max_password_errors</c> (MariaDB)
/// or <c>FAILED_LOGIN_ATTEMPTS</c> (MySQL) each try brings the account nearer to being blocked, and no try can succeed
/// before somebody corrects something. One for all sessions of a process: pools, storage and kills.
/// </summary>
/// <remarks>
/// <para>An open with a refused password fails with the server's former error, without being sent, but for a second
/// try after some seconds and one a minute from then on: so that a password which is corrected on the server works
/// without a restart. Another password is tried at once, and one that is given anew.</para>
/// <para>A password that was never accepted is tried by one open; those beside it wait a moment for what comes of
/// it.</para>
/// </remarks>
internal sealed class SignInGate(TimeProvider clock)
{
    /// <summary>Between two tries of a refused password.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromMinutes(1);

    /// <summary>Before the second try: a database that was started together with this process may make its accounts
    /// only now. A limit of three wrong passwords, the least that is in use, bears it.</summary>
    public static readonly TimeSpan FirstRetryInterval = TimeSpan.FromSeconds(10);

    // How long the first try may hold up those beside it: one that is lost on its way must not stop them.
    private static readonly TimeSpan FirstTryTimeout = TimeSpan.FromSeconds(1);

    // Accounts of a process, and passwords that they had; a rotation adds one.
    private const int MaxAccounts = 32;

    private readonly Lock _gate = new();

    // Guarded by _gate, what is in it too.
    private readonly Dictionary<SignIn, State> _states = [];

    /// <summary>Opens a connection, unless its password was refused a moment ago.</summary>
    public async Task OpenAsync(MySqlConnection connection, SignIn signIn)
    {
        TaskCompletionSource? firstTry = Begin(signIn, out Task? other);
        if (other is not null)
        {
            await other.WaitAsync(FirstTryTimeout, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ThrowIfRefused(signIn);
        }

        try
        {
            await connection.OpenAsync(CancellationToken.None).ConfigureAwait(false);
            NoteAccepted(signIn);
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrorCode.AccessDenied)
        {
            NoteRefused(signIn, exception);
            throw;
        }
        finally
        {
            End(signIn, firstTry);
        }
    }

    /// <summary>Lets a refused password be tried once more at once.</summary>
    public void AllowTry(SignIn signIn)
    {
        lock (_gate)
        {
            if (_states.TryGetValue(signIn, out State? state)) state.Refusal = null;
        }
    }

    private TaskCompletionSource? Begin(SignIn signIn, out Task? other)
    {
        other = null;
        lock (_gate)
        {
            if (!_states.TryGetValue(signIn, out State? state))
            {
                if (_states.Count >= MaxAccounts) _states.Clear();
                _states[signIn] = state = new State();
            }

            ThrowIfRefused_NeedsLock(state);
            if (state.IsAccepted) return null;

            other = state.FirstTry?.Task;
            return other is null ? state.FirstTry = new(TaskCreationOptions.RunContinuationsAsynchronously) : null;
        }
    }

    private void ThrowIfRefused(SignIn signIn)
    {
        lock (_gate)
        {
            if (_states.TryGetValue(signIn, out State? state)) ThrowIfRefused_NeedsLock(state);
        }
    }

    private void ThrowIfRefused_NeedsLock(State state)
    {
        if (state.Refusal is not { } refusal) return;
        if (clock.GetElapsedTime(state.RefusedAt) < (state.Refusals > 1 ? RetryInterval : FirstRetryInterval))
            throw refusal;

        // This one tries it; those beside it do not.
        state.RefusedAt = clock.GetTimestamp();
    }

    private void NoteAccepted(SignIn signIn)
    {
        lock (_gate)
        {
            if (!_states.TryGetValue(signIn, out State? state)) return;

            state.IsAccepted = true;
            state.Refusal = null;
            state.Refusals = 0;
        }
    }

    private void NoteRefused(SignIn signIn, MySqlException exception)
    {
        lock (_gate)
        {
            if (!_states.TryGetValue(signIn, out State? state)) return;

            state.IsAccepted = false;
            state.Refusal = exception;
            state.Refusals++;
            state.RefusedAt = clock.GetTimestamp();
        }
    }

    private void End(SignIn signIn, TaskCompletionSource? firstTry)
    {
        if (firstTry is null) return;

        lock (_gate)
        {
            if (_states.TryGetValue(signIn, out State? state) && ReferenceEquals(state.FirstTry, firstTry))
                state.FirstTry = null;
        }

        firstTry.TrySetResult();
    }

    private sealed class State
    {
        public bool IsAccepted { get; set; }

        public MySqlException? Refusal { get; set; }

        public int Refusals { get; set; }

        public long RefusedAt { get; set; }

        public TaskCompletionSource? FirstTry { get; set; }
    }
}

/// <summary>What a session logs in with. Never told to anybody (INV-8).</summary>
internal readonly struct SignIn(string user, string password) : IEquatable<SignIn>
{
    private readonly string _user = user;
    private readonly string _password = password;

    public bool Equals(SignIn other) => _user == other._user && _password == other._password;

    public override bool Equals(object? obj) => obj is SignIn other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_user, _password);
}
