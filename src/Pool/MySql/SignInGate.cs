using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// Keeps a process from retrying a password that the server has refused. With <c>max_password_errors</c> (MariaDB) or
/// <c>FAILED_LOGIN_ATTEMPTS</c> (MySQL) each attempt brings the account closer to being blocked, and none can succeed
/// before the password is corrected. One gate serves all sessions of a process: pools, storage and kills.
/// </summary>
/// <remarks>
/// <para>An open with a refused password is not sent: it fails with the server's former error. The exceptions are a
/// second attempt after <see cref="FirstRetryInterval"/> and then one in each <see cref="RetryInterval"/>, so that a
/// password corrected on the server works without a restart. Another password is tried at once, and so is one that is
/// configured anew.</para>
/// <para>A password that was never accepted is tried by one open; concurrent opens wait briefly for its result.</para>
/// </remarks>
internal sealed class SignInGate(TimeProvider clock)
{
    /// <summary>The interval between two attempts with a refused password.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromMinutes(1);

    /// <summary>The interval before the second attempt: a database started together with this process may still be
    /// creating its accounts. A limit of three wrong passwords, the lowest in use, allows it.</summary>
    public static readonly TimeSpan FirstRetryInterval = TimeSpan.FromSeconds(10);

    // The longest time that the first attempt delays concurrent opens: a lost attempt must not block them.
    private static readonly TimeSpan FirstTryTimeout = TimeSpan.FromSeconds(1);

    // The accounts of a process with their former passwords; each rotation adds one.
    private const int MaxAccounts = 32;

    private readonly Lock _gate = new();

    // Guarded by _gate, with the states in it.
    private readonly Dictionary<SignIn, State> _states = [];

    /// <summary>Opens a connection, unless its password was refused recently.</summary>
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

    /// <summary>Allows one immediate attempt with a refused password.</summary>
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

        // This open makes the attempt; concurrent opens do not.
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

/// <summary>The credentials of a session. Never logged or shown (INV-8).</summary>
internal readonly struct SignIn(string user, string password) : IEquatable<SignIn>
{
    private readonly string _user = user;
    private readonly string _password = password;

    public bool Equals(SignIn other) => _user == other._user && _password == other._password;

    public override bool Equals(object? obj) => obj is SignIn other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_user, _password);
}
