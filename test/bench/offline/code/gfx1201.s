Shader disassembly is not supported in the current configuration, falling back to print_program.

After lowering to hw instructions:
ACO shader stage: SW (CS), HW (COMPUTE_SHADER)
BB0
/* logical preds: / linear preds: / kind: uniform, top-level, loop-preheader, */
	 v1: %84:v[1] = v_mbcnt_lo_u32_b32 -1, 0
	 v1: %0:v[4] = v_mov_b32 0
	 v1: %0:v[5] = v_mov_b32 0
	 v1: %0:v[6] = v_mov_b32 0
	 v1: %0:v[7] = v_mov_b32 0
	 v1: %3:v[1] = v_mbcnt_hi_u32_b32_e64 -1, %84:v[1]
	s_delay_alu valu_dep_1
	 v1: %10:v[1] = v_lshlrev_b32 4, (is16bit)%3:v[1]
	ds_write_b128 %10:v[1], %85:v[4-7] storage:shared
	 s1: %0:s[3] = s_movk_i32 imm:-32768
	 s4: %15:s[4-7] = s_load_dwordx4 %14:s[2-3], 0
	 v1: %0:v[4] = v_mov_b32 0
	 v1: %0:v[5] = v_mov_b32 0
	 v1: %0:v[6] = v_mov_b32 0
	 v1: %0:v[7] = v_mov_b32 0
	 s1: %0:s[1] = s_mov_b32 -1
	 s2: %0:s[8-9] = s_bfm_b64 32, 0
	s_wait_kmcnt imm:0
	 s1: %17:s[0],  s1: %90:scc = s_lshr_b32 %88:s[6], 4
BB1
/* logical preds: BB0, BB12, / linear preds: BB0, BB12, / kind: uniform, loop-header, */
	s_waitcnt_depctr sa_sdst(0)
	 s1: %91:scc = s_cmp_ge_u32 %20:s[9], %17:s[0]
	s_cbranch_scc1 block:BB13
BB4
/* logical preds: BB1, / linear preds: BB1, / kind: uniform, loop-preheader, */
	 v1: %29:v[1] = v_add_lshl_u32 %20:s[9], %77:v[0], 4
	 v4: %30:v[8-11] = buffer_load_dwordx4 %15:s[4-7], %29:v[1], 0 offen storage:buffer semantics:private,reorder
	 v1: %31:v[2] = v_lshlrev_b32 4, (is16bit)%77:v[0]
	s_wait_loadcnt imm:0
	ds_write_b128 %31:v[2], %30:v[8-11] storage:shared
	 s1: %0:s[10] = s_mov_b32 0
BB5
/* logical preds: BB4, BB5, / linear preds: BB4, BB5, / kind: uniform, loop-header, */
	s_waitcnt_depctr sa_sdst(0)
	 s1: %38:s[11],  s1: %98:scc = s_lshl_b32 %33:s[10], 4
	 v1: %40:v[2] = v_add_u32 %33:s[10], %77:v[0]
	s_waitcnt_depctr sa_sdst(0)
	 v1: %0:v[1] = v_mov_b32 %38:s[11]
	s_delay_alu valu_dep_2 next valu_dep_1
	 v1: %41:v[3] = v_and_b32 0xffffffc0, %40:v[2]
	 v1: %42:v[2] = v_sub_u32 %40:v[2], %41:v[3]
	s_delay_alu valu_dep_1
	 v1: %43:v[2] = v_lshlrev_b32 4, %42:v[2]
	 v1: %100:v[1] = ds_read_b32 %99:v[1] storage:shared
	 v4: %44:v[8-11] = ds_read_b128 %43:v[2] storage:shared
	 s1: %53:s[10],  s1: %106:scc = s_add_u32 %33:s[10], 1
	s_waitcnt_depctr sa_sdst(0)
	 s1: %107:scc = s_cmp_ge_u32 %53:s[10], 64
	s_wait_dscnt imm:0
	 v1: %49:v[4] = v_fmac_f32 %100:v[1], %102:v[8], %34:v[4]
	 v1: %50:v[5] = v_fmac_f32 %100:v[1], %103:v[9], %35:v[5]
	 v1: %51:v[6] = v_fmac_f32 %100:v[1], %104:v[10], %36:v[6]
	 v1: %52:v[7] = v_fmac_f32 %100:v[1], %105:v[11], %37:v[7]
	s_cbranch_scc0 block:BB5
BB9
/* logical preds: BB5, / linear preds: BB5, / kind: uniform, loop-exit, */
	 s1: %110:scc = s_cmp_eq_i32 %21:s[8], 0
	s_delay_alu salu_cycle_1
	 s1: %61:s[1],  s1: %112:scc = s_sub_i32 %22:s[1], %110:scc
	 s1: %62:s[8],  s1: %113:scc = s_add_u32 %21:s[8], -1
	s_waitcnt_depctr sa_sdst(0)
	 s1: %63:s[10],  s1: %114:scc = s_max_u32 %61:s[1], %62:s[8]
	s_waitcnt_depctr sa_sdst(0)
	 s1: %115:scc = s_cmp_eq_i32 %63:s[10], 0
	s_cbranch_scc1 block:BB13
BB12
/* logical preds: BB9, / linear preds: BB9, / kind: uniform, continue, */
	 s1: %65:s[9],  s1: %118:scc = s_add_u32 %20:s[9], 64
	s_branch block:BB1
BB13
/* logical preds: BB9, BB1, / linear preds: BB9, BB1, / kind: uniform, top-level, loop-exit, */
	 s4: %71:s[0-3] = s_load_dwordx4 %14:s[2-3], 16
	 v1: %73:v[0] = v_lshlrev_b32 4, (is16bit)%77:v[0]
	s_wait_kmcnt imm:0
	buffer_store_dwordx4 %71:s[0-3], %73:v[0], 0, %72:v[4-7] offen disable_wqm storage:buffer
	s_nop
	s_sendmsg sendmsg(dealloc_vgprs)
	s_endpgm

