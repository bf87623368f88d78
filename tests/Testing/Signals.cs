using System.ComponentModel;
using System.Runtime.InteropServices;

namespace UPool.Testing;

/// <summary>The signals that tests send to their own processes.</summary>
internal static class Signals
{
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>Sends a signal; ignores a process that has ended.</summary>
    public static void Send(int processId, int signal)
    {
        const int NoSuchProcess = 3;
        if (SendCore(processId, signal) != 0 && Marshal.GetLastPInvokeError() is var error && error != NoSuchProcess)
        {
            throw new Win32Exception(error, $"Signal {signal} to process {processId} failed (errno {error}).");
        }
    }

    /// <summary>Whether every thread of a process is stopped.</summary>
    public static bool IsStopped(int processId)
    {
        try
        {
            return Directory.EnumerateDirectories($"/proc/{processId}/task").All(IsThreadStopped);
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }
    }

    private static bool IsThreadStopped(string task)
    {
        try
        {
            // "id (name) state …"; the name may contain spaces and parentheses.
            var stat = File.ReadAllText(Path.Combine(task, "stat"));
            return stat[stat.LastIndexOf(')') + 2] == 'T';
        }
        catch (IOException)
        {
            // The thread has ended in the meantime.
            return true;
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendCore(int processId, int signal);
}
